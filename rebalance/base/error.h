/*
 * Errors: a function that can fail returns 0 or one of these, and says why once,
 * where the fault is found. Callers pass the code on and add nothing.
 */
#ifndef EK_BASE_ERROR_H
#define EK_BASE_ERROR_H

#include <stddef.h>

enum ek_code {
	EK_OK = 0,
	EK_EUSAGE = -1, /* the caller asked for something that makes no sense */
	EK_EDATA = -2,  /* the input is wrong or damaged */
	EK_EIO = -3,    /* reading or writing failed */
	EK_ENOMEM = -4,
	EK_ENOTSUP = -5,     /* this build, device or format cannot do it */
	EK_EINTERRUPTED = -6 /* the user asked to stop; state is saved */
};

/* Record the message of this thread's last error and return `code`.
 * One line, no newline: what was found, where, and what was expected.
 * Bytes of names that would break the line (control characters) are shown as \xNN. */
int ek_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As ek_fail with EK_EIO, and ": " and the text of the current errno after the message.
 * ENOMEM becomes EK_ENOMEM. */
int ek_fail_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The bytes of the character at `text`, of `size` > 0: its UTF-8, or 1 for a byte that belongs to none. `*obeyed` = 1
 * if a terminal would not show it but obey it, or turn the text about it: control characters (to U+001F, U+007F to
 * U+009F, bare bytes of 80 to 9f), U+2028 to U+202E (lines, embeddings, overrides), U+2066 to U+2069 (isolates). */
size_t ek_character(int *obeyed, const char *text, size_t size);

/* Copy `text` into out[size], cut where it does not fit, what a terminal would obey shown as \xNN, so that it is one
 * line. */
void ek_one_line(char *out, size_t size, const char *text);

/* The errno that this thread's last failure was made of (ek_fail_errno), or 0. */
int ek_error_number(void);

/* The last message of this thread; never NULL, valid until its next failure. */
const char *ek_error_message(void);

/* Leave through the function's only exit, `out:`, keeping the first failure in `rc`. */
#define EK_TRY(call)                                                                                                   \
	do {                                                                                                           \
		if ((rc = (call)) < 0)                                                                                 \
			goto out;                                                                                      \
	} while (0)

#endif
