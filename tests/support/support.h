/*
 * What tests share: comparisons that a NaN cannot pass, golden arrays, scratch folders.
 * Includes cmocka and what it needs, and the parts of the C library that every test uses.
 */
#ifndef EK_TESTS_SUPPORT_H
#define EK_TESTS_SUPPORT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rebalance/base/error.h"
#include "rebalance/base/json.h"

/* Whether a sanitizer watches, which takes up to thirty times as long: then no test takes large numbers of what is
 * computed alike. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { EK_WATCHED = 1 };
#else
enum { EK_WATCHED = 0 };
#endif

/* The program: EK_TEST_MAIN(cmocka_unit_test(NAME), ...) at the end of a file. */
#define EK_TEST_MAIN(...)                                                                                              \
	int main(void)                                                                                                 \
	{                                                                                                              \
		const struct CMUnitTest tests[] = { __VA_ARGS__ };                                                     \
                                                                                                                       \
		return cmocka_run_group_tests(tests, NULL, NULL);                                                      \
	}

/* |got - want| <= tolerance * max(1, |want|); a NaN on either side fails. */
#define assert_close(got, want, tolerance)                                                                             \
	ek_assert_close((double)(got), (double)(want), (double)(tolerance), #got, __FILE__, __LINE__)
void ek_assert_close(double got, double want, double tolerance, const char *what, const char *file, int line);

/* Largest |got[i] - want[i]|; +infinity if any is NaN or there is nothing to compare. */
double ek_max_difference(const float *got, const float *want, size_t count);
/* Cosine of two vectors in double; NaN if either is zero or holds a NaN. */
double ek_cosine(const float *a, const float *b, size_t count);

/* The call succeeded; prints ek_error_message otherwise. */
#define assert_ok(call) ek_assert_ok((call), #call, __FILE__, __LINE__)
void ek_assert_ok(int rc, const char *what, const char *file, int line);
/* The call failed with this code, and the message contains `text`. */
#define assert_fails(call, code, text) ek_assert_fails((call), (code), (text), #call, __FILE__, __LINE__)
void ek_assert_fails(int rc, int code, const char *text, const char *what, const char *file, int line);

/* A fresh empty folder (static storage, one per call up to 64); removed at exit. */
const char *ek_scratch(void);
/* "folder/name" in rotating static storage (64 of them). */
const char *ek_join(const char *folder, const char *name);
void ek_write_file(const char *path, const void *bytes, size_t size);
/* The same, as a file of this name in one scratch folder of the program; its path, as from ek_join. */
const char *ek_put_file(const char *name, const void *bytes, size_t size);
/* All of a file; the caller releases it. */
struct ek_buffer ek_read_file(const char *path);
void ek_assert_holds(const char *path, const char *text);
void ek_assert_same_files(const char *a, const char *b);
/* Put `before` in front of the names of all tensors of a safetensors file, as training code does. */
void ek_prefix_tensors(const char *path, const char *before);

/* tests/golden/NAME.json, parsed; the caller deletes it. Fails the test if it is not there. */
cJSON *ek_golden(const char *name);
/* A member that must be there; one that must be a number. */
const cJSON *ek_golden_member(const cJSON *golden, const char *name);
double ek_golden_number(const cJSON *golden, const char *name);
/* The bytes that hexadecimal digits stand for (to be freed); how many. */
size_t ek_from_hex(uint8_t **out, const char *hex);
/* A golden member that is an array of numbers, as doubles (to be freed); `*count` its length. */
double *ek_golden_doubles(const cJSON *golden, const char *name, size_t *count);

/* Warnings since ek_warnings_take, and the last of them. */
struct ek_warnings {
	int count;
	char last[1024];
};
extern struct ek_warnings ek_warnings;
/* From now on nothing is printed and warnings are counted from 0. */
void ek_warnings_take(void);

#endif
