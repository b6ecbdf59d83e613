/* suite.h - the end of every Check program: runs the suite, and says by its exit status whether all went well. */
#ifndef I3_TESTS_SUITE_H
#define I3_TESTS_SUITE_H

#include <check.h>

/* 0 or 1, for main() to return. The suite is freed. */
static inline int suite_run(Suite *s)
{
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

#endif
