/*
 * A small HTTP server for a page that one person works with on this machine: it listens on 127.0.0.1 alone, knows a
 * table of routes, and answers only who has its secret token. One thread, so that answers need no locks.
 *
 * What is refused, and with what:
 *	400  a path with anything but a-z 0-9 / . _ -, so with %2f; with "..", "//"; a query other than the token's; a
 *	     body that the route cannot take
 *	403  no or a wrong token; a Host that is not 127.0.0.1:PORT or localhost:PORT (a name that somebody made point
 *	     here); an Origin of another page, or none where something is changed; Sec-Fetch-Site: cross-site likewise
 *	404, 405  no such route; another method
 *	411, 413, 415  a body without length, longer than the limit, or that is not application/json
 *	431, 414  headers or a request line too long (libmicrohttpd)
 * A connection that is idle, or has not sent its request in time, is closed; more connections than the limit wait in
 * the queue of the kernel, and those that say nothing make room for them at once.
 *
 * The token comes with the first visit, in the query, and then as a cookie (HttpOnly, SameSite=Strict) whose name has
 * the port in it, since browsers send cookies to every port. Answers forbid to be kept, framed, used by other pages, to
 * load anything from elsewhere, and to tell their address to anybody.
 */
#ifndef EK_REPORTS_SERVER_SERVER_H
#define EK_REPORTS_SERVER_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "rebalance/base/json.h"
#include "reports/server/route.h"

/* `*body` = the JSON object that a POST sent, to be freed with cJSON_Delete. EK_EUSAGE: it is none. */
int ek_server_json(cJSON **body, const struct ek_server_request *request);

struct ek_server_options {
	uint16_t port;                        /* 0: any that is free */
	const struct ek_server_route *routes; /* ends with a NULL path */
	void *context;                        /* for the answers */
	/* Limits; 0: the default. */
	size_t body_bytes;      /* of a request: 16 KiB */
	unsigned connections;   /* at a time: 256 */
	double receive_seconds; /* from the connection, or the end of the request before, until the request is there: 20
	                         */
	double send_seconds;    /* until the reply has left: 120 */
};

struct ek_server;

/* Listen. EK_EUSAGE: the port is taken. EK_EIO, EK_ENOMEM. */
int ek_server_open(struct ek_server **out, const struct ek_server_options *options);
/* "http://127.0.0.1:PORT/?token=…" */
const char *ek_server_url(const struct ek_server *server);
uint16_t ek_server_port(const struct ek_server *server);
/* Serve until ek_interrupt; that is its normal end, and 0. EK_EIO. */
int ek_server_run(struct ek_server *server);
/* Stop listening, end all connections. NULL is fine. */
void ek_server_close(struct ek_server *server);

#endif
