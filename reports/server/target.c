#include "reports/server/target.h"

#include <string.h>

enum { LONGEST_NUMBER = 15, HASH_DIGITS = 64 };

static const char path_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789/._-";
static const char token_before[] = "token=";

int ek_target_parse(struct ek_target *target, const char *text)
{
	const size_t length = strcspn(text, "?");
	const char *query = text[length] == '?' ? text + length + 1 : NULL;

	*target = (struct ek_target){ 0 };
	if (length >= sizeof target->path)
		return 414;
	memcpy(target->path, text, length);
	if (text[0] != '/' || strspn(target->path, path_characters) != length || strstr(target->path, "..") != NULL ||
	    strstr(target->path, "//") != NULL)
		return 400;
	if (query == NULL)
		return 0;
	if (strncmp(query, token_before, strlen(token_before)) != 0)
		return 400;
	query += strlen(token_before);
	/* One of another length is wrong in any case, and is not kept. */
	if (strlen(query) == sizeof target->token - 1)
		memcpy(target->token, query, sizeof target->token);
	return 0;
}

/* 1 if the rest of a path is that of the route, which may end with @. */
static int matches_end(const char **hash, const char *route, const char *path)
{
	const size_t before = strcspn(route, "@");

	*hash = "";
	if (route[before] == 0)
		return strcmp(route, path) == 0;
	if (strncmp(route, path, before) != 0)
		return 0;
	*hash = path + before;
	return strlen(*hash) == HASH_DIGITS && strspn(*hash, "0123456789abcdef") == HASH_DIGITS;
}

/* 1 if the path is that of the route. */
static int matches(uint64_t *number, const char **hash, const char *route, const char *path)
{
	const size_t before = strcspn(route, "#");
	size_t digits;

	*number = 0;
	if (route[before] == 0)
		return matches_end(hash, route, path);
	if (strncmp(route, path, before) != 0)
		return 0;
	path += before;
	digits = strspn(path, "0123456789");
	if (digits == 0 || digits > LONGEST_NUMBER || (path[0] == '0' && digits > 1))
		return 0;
	for (size_t i = 0; i < digits; i++)
		*number = 10 * *number + (uint64_t)(path[i] - '0');
	return matches_end(hash, route + before + 1, path + digits);
}

int ek_target_route(const struct ek_server_route **route, uint64_t *number, const char **hash,
                    const struct ek_server_route *routes, const char *method, const char *path)
{
	int status = 404;

	for (*route = routes; (*route)->path != NULL; ++*route) {
		if (!matches(number, hash, (*route)->path, path))
			continue;
		if (strcmp((*route)->method, method) == 0)
			return 0;
		status = 405;
	}
	return status;
}

int ek_token_equal(const char *a, const char *b)
{
	const size_t size = strlen(a);
	volatile unsigned char difference = 0;

	if (size != EK_TOKEN_SIZE - 1 || strlen(b) != size)
		return 0;
	for (size_t i = 0; i < size; i++)
		difference = (unsigned char)(difference | (a[i] ^ b[i]));
	return difference == 0;
}
