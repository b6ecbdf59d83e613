/* strip.h - takes from a configuration text what libconfuse does not bear well, before libconfuse sees it.
 *
 * libconfuse 3.3 counts a line with a comment twice or thrice, refuses comments inside lists, keeps the state
 * of its lexer from a string left open to the next parse, and reads the environment for ${NAME}. So comments
 * (#, //, and C's) become blanks here, newlines stay where they were, and open strings and the like are
 * refused with their line.
 */
#ifndef I3_STRIP_H
#define I3_STRIP_H

/* Blanks out the comments of text in place. 0, or -EINVAL with the line and what is wrong there. */
int config_strip(char *text, unsigned *line, const char **wrong);

#endif
