/* A driver as CUDA's runtime meets it, of the version in PRETENDED_DRIVER, which sees no GPU. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { NO_DEVICE = 100 };

int cuDriverGetVersion(int *version);
int cuInit(unsigned flags);
int cuGetProcAddress_v2(const char *name, void **out, int version, uint64_t flags, int *status);

int cuDriverGetVersion(int *version)
{
	const char *text = getenv("PRETENDED_DRIVER");

	*version = text != NULL ? (int)strtol(text, NULL, 10) : 0;
	return 0;
}

int cuInit(unsigned flags)
{
	(void)flags;
	return NO_DEVICE;
}

static int anything_else(void)
{
	return NO_DEVICE;
}

int cuGetProcAddress_v2(const char *name, void **out, int version, uint64_t flags, int *status)
{
	int (*const get_version)(int *) = cuDriverGetVersion;
	int (*const init)(unsigned) = cuInit;
	int (*const get_address)(const char *, void **, int, uint64_t, int *) = cuGetProcAddress_v2;
	int (*const rest)(void) = anything_else;

	(void)version;
	(void)flags;
	if (status != NULL)
		*status = 0;
	if (strcmp(name, "cuDriverGetVersion") == 0)
		memcpy(out, &get_version, sizeof *out);
	else if (strcmp(name, "cuInit") == 0)
		memcpy(out, &init, sizeof *out);
	else if (strncmp(name, "cuGetProcAddress", strlen("cuGetProcAddress")) == 0)
		memcpy(out, &get_address, sizeof *out);
	else
		memcpy(out, &rest, sizeof *out);
	return 0;
}
