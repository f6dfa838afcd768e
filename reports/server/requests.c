/* One request: what is refused before it is looked at, its body, its answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/json.h"
#include "rebalance/base/utf8.h"
#include "reports/server/server_internal.h"

struct request {
	char *target; /* as it came */
	int is_begun; /* its headers have been seen */
	int is_visit; /* the token came with the query */
	int is_answered;
	struct ek_target parsed;
	const struct ek_server_route *route;
	uint64_t number;
	const char *hash; /* in parsed */
	struct ek_buffer body;
};

/* Every answer forbids what the page does not need. */
static const char *const headers[][2] = {
	{ "Content-Security-Policy",
	  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
	  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" },
	{ "Cache-Control", "no-store" },
	{ "Cross-Origin-Opener-Policy", "same-origin" },
	{ "Cross-Origin-Resource-Policy", "same-origin" },
	{ "Referrer-Policy", "no-referrer" },
	{ "X-Content-Type-Options", "nosniff" },
	{ "X-Frame-Options", "DENY" },
};

void *ek_requests_begin(void *context, const char *target, struct MHD_Connection *connection)
{
	struct request *r = calloc(1, sizeof *r);

	(void)context;
	(void)connection;
	if (r != NULL)
		r->target = strdup(target);
	return r;
}

void ek_requests_end(void *context, struct MHD_Connection *connection, void **own, enum MHD_RequestTerminationCode how)
{
	const struct ek_server *server = context;
	struct request *r = *own;

	(void)how;
	if (r != NULL) {
		ek_buffer_release(&r->body);
		free(r->target);
		free(r);
	}
	*own = NULL;
	ek_connections_expect(connection, 0, server->options.receive_seconds);
}

/* Takes the response, which may be NULL for lack of memory. */
static enum MHD_Result send_response(struct ek_server *server, struct MHD_Connection *connection, struct request *r,
                                     int status, const char *type, struct MHD_Response *response)
{
	enum MHD_Result sent;
	char cookie[160];

	if (response == NULL)
		return MHD_NO;
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
		(void)ek_mhd.add_response_header(response, headers[i][0], headers[i][1]);
	(void)ek_mhd.add_response_header(response, "Content-Type", type);
	if (r->is_visit && status == MHD_HTTP_OK) {
		(void)snprintf(cookie, sizeof cookie, "%s=%s; Path=/; HttpOnly; SameSite=Strict", server->cookie,
		               server->token);
		(void)ek_mhd.add_response_header(response, "Set-Cookie", cookie);
	}
	ek_connections_expect(connection, 1, server->options.send_seconds);
	sent = ek_mhd.queue_response(connection, (unsigned)status, response);
	ek_mhd.destroy_response(response);
	r->is_answered = 1;
	return sent;
}

/* Bytes that outlive the server. */
static enum MHD_Result send_fixed(struct ek_server *server, struct MHD_Connection *connection, struct request *r,
                                  int status, const char *type, const void *bytes, size_t size)
{
	/* They are only read. */
	return send_response(
		server, connection, r, status, type,
		ek_mhd.create_response_from_buffer(size, (void *)(uintptr_t)bytes, MHD_RESPMEM_PERSISTENT));
}

/* The error message as the reply. */
static void reply_error(struct ek_server_reply *reply, int rc)
{
	const char *message = ek_error_message();

	if (reply->status < 400)
		reply->status = rc == EK_EUSAGE ? 400 : rc == EK_EDATA ? 422 : 500;
	reply->type = NULL;
	ek_buffer_clear(&reply->body);
	if (ek_buffer_text(&reply->body, "{\"error\": ") < 0 ||
	    ek_json_append_string(&reply->body, message, strlen(message)) < 0 || ek_buffer_text(&reply->body, "}") < 0)
		ek_buffer_clear(&reply->body);
}

static enum MHD_Result refuse(struct ek_server *server, struct MHD_Connection *connection, struct request *r,
                              int status, const char *why)
{
	r->is_visit = 0;
	return send_fixed(server, connection, r, status, "text/plain; charset=utf-8", why, strlen(why));
}

struct header_search {
	const char *name, *value;
	int count;
};

static enum MHD_Result look(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct header_search *search = context;

	(void)kind;
	if (strcasecmp(name, search->name) == 0) {
		search->value = value != NULL ? value : "";
		search->count++;
	}
	return MHD_YES;
}

/* The value of a header; NULL: it is not there, "": more than once. */
static const char *header_of(struct MHD_Connection *connection, const char *name)
{
	struct header_search search = { .name = name };

	(void)ek_mhd.get_connection_values(connection, MHD_HEADER_KIND, look, &search);
	return search.count > 1 ? "" : search.value;
}

static int is_own_host(const struct ek_server *server, const char *host)
{
	return strcmp(host, server->hosts[0]) == 0 || strcmp(host, server->hosts[1]) == 0;
}

static int is_own_origin(const struct ek_server *server, const char *origin)
{
	return strncmp(origin, "http://", 7) == 0 && is_own_host(server, origin + 7);
}

/* NULL, or why this request is not one of our page's. */
static const char *foreign(const struct ek_server *server, struct MHD_Connection *connection, int is_change)
{
	const char *host = header_of(connection, "Host"), *origin = header_of(connection, "Origin");
	const char *site = header_of(connection, "Sec-Fetch-Site");

	if (host == NULL || !is_own_host(server, host))
		return "The Host of the request is not this server's address. Behind a port forwarding, use the same "
		       "port number on both sides.\n";
	if (origin != NULL ? !is_own_origin(server, origin) : is_change)
		return "The request comes from another page.\n";
	if (site != NULL && is_change && strcmp(site, "same-origin") != 0)
		return "The request comes from another page.\n";
	return NULL;
}

static int has_token(const struct ek_server *server, struct MHD_Connection *connection, struct request *r)
{
	const char *cookie = ek_mhd.lookup_connection_value(connection, MHD_COOKIE_KIND, server->cookie);

	r->is_visit = r->parsed.token[0] != 0 && ek_token_equal(r->parsed.token, server->token);
	return r->is_visit || (cookie != NULL && ek_token_equal(cookie, server->token));
}

/* NULL, or why a body cannot be taken, and `*status`. */
static const char *bad_body(int *status, const struct ek_server *server, struct MHD_Connection *connection,
                            int is_change)
{
	const char *length = header_of(connection, "Content-Length"), *type = header_of(connection, "Content-Type");
	const size_t digits = length != NULL ? strspn(length, "0123456789") : 0;

	*status = MHD_HTTP_LENGTH_REQUIRED;
	if (header_of(connection, "Transfer-Encoding") != NULL || (is_change && length == NULL))
		return "A body needs its length.\n";
	*status = MHD_HTTP_BAD_REQUEST;
	if (length != NULL && (digits == 0 || length[digits] != 0))
		return "The length of the body is not a number.\n";
	*status = MHD_HTTP_CONTENT_TOO_LARGE;
	if (length != NULL && (digits > 9 || strtoul(length, NULL, 10) > (is_change ? server->options.body_bytes : 0)))
		return "The body is too large.\n";
	*status = MHD_HTTP_UNSUPPORTED_MEDIA_TYPE;
	if (is_change && (type == NULL || strcmp(type, "application/json") != 0))
		return "The body is not application/json.\n";
	return NULL;
}

/* The headers are there: refuse what can be refused. */
static enum MHD_Result begin(struct ek_server *server, struct MHD_Connection *connection, struct request *r,
                             const char *method)
{
	const int is_change = strcmp(method, "GET") != 0;
	const char *why;
	int status;

	r->is_begun = 1;
	if ((why = foreign(server, connection, is_change)) != NULL)
		return refuse(server, connection, r, MHD_HTTP_FORBIDDEN, why);
	if ((status = ek_target_parse(&r->parsed, r->target)) != 0)
		return refuse(server, connection, r, status, "There is no such path.\n");
	if (!has_token(server, connection, r))
		return refuse(server, connection, r, MHD_HTTP_FORBIDDEN,
		              "This page opens with the address that evenkeel printed: it ends with a secret token.\n");
	status = ek_target_route(&r->route, &r->number, &r->hash, server->options.routes, method, r->parsed.path);
	if (status != 0)
		return refuse(server, connection, r, status, "There is no such path.\n");
	if ((why = bad_body(&status, server, connection, is_change)) != NULL)
		return refuse(server, connection, r, status, why);
	return MHD_YES;
}

static enum MHD_Result answer(struct ek_server *server, struct MHD_Connection *connection, struct request *r)
{
	const struct ek_server_request request = { .number = r->number,
		                                   .hash = r->hash,
		                                   .body = r->body.data != NULL ? r->body.data : "",
		                                   .body_size = r->body.size };
	const struct ek_server_file *file = r->route->file;
	struct ek_server_reply reply = { .status = MHD_HTTP_OK };
	struct MHD_Response *response;
	int rc;

	if (r->route->answer == NULL)
		return send_fixed(server, connection, r, MHD_HTTP_OK, file->type, file->bytes, *file->size);
	if ((rc = r->route->answer(server->options.context, &request, &reply)) < 0)
		reply_error(&reply, rc);
	response = ek_mhd.create_response_from_buffer(reply.body.size, reply.body.data, MHD_RESPMEM_MUST_FREE);
	if (response == NULL)
		ek_buffer_release(&reply.body);
	return send_response(server, connection, r, reply.status, reply.type != NULL ? reply.type : "application/json",
	                     response);
}

enum MHD_Result ek_requests_handle(void *context, struct MHD_Connection *connection, const char *url,
                                   const char *method, const char *version, const char *upload, size_t *upload_size,
                                   void **own)
{
	struct ek_server *server = context;
	struct request *r = *own;

	(void)url; /* decoded already; the target is what was sent */
	(void)version;
	if (r == NULL || r->target == NULL)
		return MHD_NO;
	if (!r->is_begun)
		return begin(server, connection, r, method);
	if (*upload_size == 0)
		return r->is_answered ? MHD_YES : answer(server, connection, r);
	/* No more than Content-Length, which was looked at, comes. */
	if (r->body.size + *upload_size > server->options.body_bytes ||
	    ek_buffer_append(&r->body, upload, *upload_size) < 0)
		return MHD_NO;
	*upload_size = 0;
	return MHD_YES;
}

int ek_server_json(cJSON **body, const struct ek_server_request *request)
{
	*body = NULL;
	if (memchr(request->body, 0, request->body_size) != NULL ||
	    ek_utf8_valid_prefix(request->body, request->body_size) != request->body_size ||
	    ek_json_parse(body, request->body, request->body_size, "the request") < 0 || !cJSON_IsObject(*body))
		return ek_fail(EK_EUSAGE, "the request is no JSON object");
	return 0;
}
