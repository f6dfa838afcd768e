/* What a request line asks for: its target as it came, taken apart and matched against a table of routes. */
#ifndef EK_REPORTS_SERVER_TARGET_H
#define EK_REPORTS_SERVER_TARGET_H

#include "reports/server/route.h"

enum { EK_TARGET_PATH = 128, EK_TOKEN_SIZE = 33 /* 128 bits in hex, and a NUL */ };

struct ek_target {
	char path[EK_TARGET_PATH];
	char token[EK_TOKEN_SIZE]; /* "" if there is none */
};

/* 0, or the status to refuse it with: 400, or 414 for one that is too long. */
int ek_target_parse(struct ek_target *target, const char *text);

/* `*route` = the route of this method and path, `*number` and `*hash` (in `path`) what stood in the place of its # and
 * @, else 0 and "". 0, or 404, or 405. */
int ek_target_route(const struct ek_server_route **route, uint64_t *number, const char **hash,
                    const struct ek_server_route *routes, const char *method, const char *path);

/* 1 if both are the same token. Takes as long whatever they are, of this length. */
int ek_token_equal(const char *a, const char *b);

#endif
