/* What the server is asked, what it answers, and the table of who does (server.h). */
#ifndef EK_REPORTS_SERVER_ROUTE_H
#define EK_REPORTS_SERVER_ROUTE_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/base/memory.h"

struct ek_server_request {
	uint64_t number;  /* what stood in the place of # in the path */
	const char *hash; /* in that of @; "" if there is none */
	const char *body; /* [body_size], with a NUL behind it; "" if there is none */
	size_t body_size;
};

struct ek_server_reply {
	int status;            /* 200 unless set */
	const char *type;      /* "application/json" unless set */
	struct ek_buffer body; /* goes with the reply */
};

/*
 * Answer a request: 0 and a reply, or a code, whose message goes out as {"error": "…"} with 400 for EK_EUSAGE, 422 for
 * EK_EDATA, else 500, unless reply->status says otherwise.
 */
typedef int (*ek_server_answer)(void *context, const struct ek_server_request *request, struct ek_server_reply *reply);

/* Bytes of the program, as a style sheet. */
struct ek_server_file {
	const char *type;
	const void *bytes;
	const size_t *size;
};

struct ek_server_route {
	const char *method; /* "GET", or "POST" with a JSON body */
	const char *
		path; /* "/made/#/@": # is a number, without leading zeros, below 10^15; @, at the end, 64 hex digits */
	ek_server_answer answer;
	const struct ek_server_file *file; /* without an answer: what is given */
};

#endif
