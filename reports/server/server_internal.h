/* What the files of the server share: the daemon, its connections (connections.c), what one request came to
 * (requests.c). */
#ifndef EK_REPORTS_SERVER_SERVER_INTERNAL_H
#define EK_REPORTS_SERVER_SERVER_INTERNAL_H

#include <microhttpd.h>

#include "reports/server/server.h"
#include "reports/server/target.h"

struct ek_connection {
	int fd;          /* -1: the place is free */
	int is_sending;  /* the request is there */
	double deadline; /* by ek_clock; then its socket is shut */
};

struct ek_server {
	struct ek_server_options options;
	struct MHD_Daemon *daemon;
	int listener; /* until the daemon has it */
	uint16_t port;
	char token[EK_TOKEN_SIZE];
	char hosts[2][32]; /* "127.0.0.1:PORT", "localhost:PORT" */
	char cookie[32];   /* its name */
	char url[96];
	struct ek_connection *connections; /* [options.connections] */
	double looked_at;                  /* when they were, last */
};

/* What is used of libmicrohttpd, which only a page needs: ek_server_open loads it. */
extern struct ek_mhd {
	__typeof__(&MHD_add_response_header) add_response_header;
	__typeof__(&MHD_create_response_from_buffer) create_response_from_buffer;
	__typeof__(&MHD_destroy_response) destroy_response;
	__typeof__(&MHD_get_connection_info) get_connection_info;
	__typeof__(&MHD_get_connection_values) get_connection_values;
	__typeof__(&MHD_lookup_connection_value) lookup_connection_value;
	__typeof__(&MHD_queue_response) queue_response;
	__typeof__(&MHD_run_wait) run_wait;
	__typeof__(&MHD_start_daemon) start_daemon;
	__typeof__(&MHD_stop_daemon) stop_daemon;
} ek_mhd;

/* --- connections.c --- */
void ek_connections_notify(void *server, struct MHD_Connection *connection, void **context,
                           enum MHD_ConnectionNotificationCode what);
/* A connection now sends its reply, or waits for a request, and has so many seconds for that. */
void ek_connections_expect(struct MHD_Connection *connection, int is_sending, double seconds);
/* Shut those that are late, or whose client has gone. */
void ek_connections_reap(struct ek_server *server);

/* --- requests.c: callbacks of the daemon --- */
void *ek_requests_begin(void *server, const char *target, struct MHD_Connection *connection);
enum MHD_Result ek_requests_handle(void *server, struct MHD_Connection *connection, const char *url, const char *method,
                                   const char *version, const char *upload, size_t *upload_size, void **context);
void ek_requests_end(void *server, struct MHD_Connection *connection, void **context,
                     enum MHD_RequestTerminationCode how);

#endif
