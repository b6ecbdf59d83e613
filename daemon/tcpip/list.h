/* list.h - doubly linked list through members: a node knows whether it is in one, and leaves it at once. */
#ifndef I3_TCPIP_LIST_H
#define I3_TCPIP_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *prev, *next; /* NULL when in no list; a list's head is a link that points to itself */
};

#define LIST_OWNER(link, type, member) ((type *)(void *)((char *)(link) - offsetof(type, member)))

static inline void list_init(struct link *head)
{
    head->prev = head->next = head;
}

static inline bool list_has(const struct link *node)
{
    return node->next != NULL;
}

static inline struct link *list_first(const struct link *head)
{
    return head->next == head ? NULL : head->next;
}

/* Appends; nothing happens when it is in a list already. */
static inline void list_add(struct link *head, struct link *node)
{
    if (list_has(node))
        return;
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_remove(struct link *node)
{
    if (!list_has(node))
        return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->prev = node->next = NULL;
}

#endif
