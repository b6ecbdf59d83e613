#include "daemon/pump/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "daemon/pump/impl.h"
#include "daemon/io/files.h"

static const char *unread(const char *path, int err)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return "it is a folder, and should be a file";
    if (err == -EINVAL)
        return "it is no regular file";
    if (err == -EFBIG)
        return "it is far too large for a configuration";
    return strerror(-err);
}

int reload_read(const char *path, struct config *c, char *why, size_t whylen)
{
    struct config_errors *e = malloc(sizeof(*e));
    char *text = NULL;
    size_t len = 0;
    int err = e ? file_read(path, false, &text, &len) : -ENOMEM;
    if (err == -ENOENT) {
        config_default(c);
        err = 0;
    } else if (err) {
        snprintf(why, whylen, "%s:1: file: %s", path, unread(path, err));
    } else if ((err = config_parse(c, text, len, e)) < 0) {
        config_errors_text(e, path, why, whylen);
    }
    free(text);
    free(e);
    return err ? -EINVAL : 0;
}
