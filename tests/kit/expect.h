/*
 * EXPECT: assert for the test programs that are no unit tests: in every build, with a sentence.
 *
 * It ends in abort, which CTest, the sanitizers and the fuzzers all take for a failure, and which
 * leaves the threads where they were for a debugger.
 */
#ifndef KIT_EXPECT_H
#define KIT_EXPECT_H

_Noreturn void expect_failed(const char *file, int line, const char *condition, const char *format,
                             ...) __attribute__((format(printf, 4, 5)));

#define EXPECT(condition, ...)                                                                     \
    ((condition) ? (void)0 : expect_failed(__FILE__, __LINE__, #condition, __VA_ARGS__))

#endif
