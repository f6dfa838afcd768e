/*
 * Libraries that few commands need: loaded where they are first called, since each that is linked costs every start of
 * the program some tenths of a millisecond, with all those that it brings along.
 */
#ifndef EK_BASE_LIBRARY_H
#define EK_BASE_LIBRARY_H

#include <stddef.h>

struct ek_library_function {
	const char *name;
	void *at; /* of a pointer to such a function, which is set */
};

/* Load the library `file`, a soname that the dynamic linker finds, and set the pointers to `count` of its functions. It
 * stays loaded; once more is cheap, and may be while other threads call the functions. EK_ENOTSUP: it is not there, or
 * lacks one of them. */
int ek_library_load(const char *file, const struct ek_library_function *functions, size_t count);

#endif
