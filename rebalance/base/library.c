#include "rebalance/base/library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "rebalance/base/error.h"

/* Pointers that are set already are left alone: other threads may be calling by them. */
static int load(const char *file, const struct ek_library_function *functions, size_t count)
{
	void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);

	if (library == NULL)
		return ek_fail(EK_ENOTSUP, "the library %s is not there", file);
	for (size_t i = 0; i < count; i++) {
		void *function = dlsym(library, functions[i].name);

		if (function == NULL)
			return ek_fail(EK_ENOTSUP, "the library %s has no %s", file, functions[i].name);
		if (memcmp(functions[i].at, &function, sizeof function) != 0)
			memcpy(functions[i].at, &function, sizeof function);
	}
	return 0;
}

int ek_library_load(const char *file, const struct ek_library_function *functions, size_t count)
{
	static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
	int rc;

	(void)pthread_mutex_lock(&one);
	rc = load(file, functions, count);
	(void)pthread_mutex_unlock(&one);
	return rc;
}
