#include "reports/server/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/hash.h"
#include "rebalance/base/library.h"
#include "rebalance/base/log.h"
#include "reports/server/server_internal.h"

enum {
	DEFAULT_BODY = 16 << 10,
	DEFAULT_CONNECTIONS = 256,
	HEADER_MEMORY = 32 << 10, /* of one connection: request line, headers and a piece of the body */
	BACKLOG = 4096,           /* the kernel may have a lower limit */
	LONGEST_WAIT = 250        /* ms; then deadlines and the wish to stop are looked at */
};
static const double default_receive = 20, default_send = 120; /* seconds */

struct ek_mhd ek_mhd;

static int load_library(void)
{
	static const struct ek_library_function functions[] = {
		{ "MHD_add_response_header", &ek_mhd.add_response_header },
		{ "MHD_create_response_from_buffer", &ek_mhd.create_response_from_buffer },
		{ "MHD_destroy_response", &ek_mhd.destroy_response },
		{ "MHD_get_connection_info", &ek_mhd.get_connection_info },
		{ "MHD_get_connection_values", &ek_mhd.get_connection_values },
		{ "MHD_lookup_connection_value", &ek_mhd.lookup_connection_value },
		{ "MHD_queue_response", &ek_mhd.queue_response },
		{ "MHD_run_wait", &ek_mhd.run_wait },
		{ "MHD_start_daemon", &ek_mhd.start_daemon },
		{ "MHD_stop_daemon", &ek_mhd.stop_daemon },
	};

	return ek_library_load(EK_MICROHTTPD_LIBRARY, functions, sizeof functions / sizeof *functions);
}

static int make_token(char token[EK_TOKEN_SIZE])
{
	uint8_t bytes[(EK_TOKEN_SIZE - 1) / 2];

	/* So few bytes come whole or not at all. */
	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return ek_fail_errno("cannot get random bytes");
	ek_hex(token, bytes, sizeof bytes);
	return 0;
}

static int listen_on(struct ek_server *s)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(s->options.port) };
	socklen_t size = sizeof address;
	const int yes = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0)
		return ek_fail_errno("cannot open a socket");
	/* Or a server that ended a minute ago would still be in the way. */
	if (setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
	    bind(s->listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
	    listen(s->listener, BACKLOG) != 0) {
		if (errno == EADDRINUSE)
			return ek_fail(EK_EUSAGE, "port %u is taken by another program; name another one, or none",
			               s->options.port);
		return ek_fail_errno("cannot listen on 127.0.0.1, port %u", s->options.port);
	}
	if (getsockname(s->listener, (struct sockaddr *)&address, &size) != 0)
		return ek_fail_errno("cannot tell the port");
	s->port = ntohs(address.sin_port);
	return 0;
}

static int start_daemon(struct ek_server *s)
{
	/* By select() or poll(), connections over the limit would be refused; so they wait. */
	s->daemon = ek_mhd.start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, ek_requests_handle, s, MHD_OPTION_LISTEN_SOCKET,
	                                s->listener, MHD_OPTION_CONNECTION_LIMIT, s->options.connections,
	                                MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_MEMORY,
	                                MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, ek_requests_begin,
	                                s, MHD_OPTION_NOTIFY_COMPLETED, ek_requests_end, s,
	                                MHD_OPTION_NOTIFY_CONNECTION, ek_connections_notify, s, MHD_OPTION_END);
	if (s->daemon == NULL)
		return ek_fail_errno("cannot start the server");
	s->listener = -1;
	return 0;
}

static void set_defaults(struct ek_server_options *o)
{
	o->body_bytes = o->body_bytes == 0 ? DEFAULT_BODY : o->body_bytes;
	o->connections = o->connections == 0 ? DEFAULT_CONNECTIONS : o->connections;
	o->receive_seconds = o->receive_seconds > 0 ? o->receive_seconds : default_receive;
	o->send_seconds = o->send_seconds > 0 ? o->send_seconds : default_send;
}

int ek_server_open(struct ek_server **out, const struct ek_server_options *options)
{
	struct ek_server *s;
	int rc;

	EK_TRY(ek_alloc(out, 1, sizeof **out));
	s = *out;
	s->listener = -1;
	s->options = *options;
	set_defaults(&s->options);
	EK_TRY(ek_alloc(&s->connections, s->options.connections, sizeof *s->connections));
	for (unsigned i = 0; i < s->options.connections; i++)
		s->connections[i].fd = -1;
	EK_TRY(load_library());
	EK_TRY(make_token(s->token));
	EK_TRY(listen_on(s));
	(void)snprintf(s->hosts[0], sizeof s->hosts[0], "127.0.0.1:%u", s->port);
	(void)snprintf(s->hosts[1], sizeof s->hosts[1], "localhost:%u", s->port);
	(void)snprintf(s->cookie, sizeof s->cookie, "evenkeel-%u", s->port);
	(void)snprintf(s->url, sizeof s->url, "http://%s/?token=%s", s->hosts[0], s->token);
	EK_TRY(start_daemon(s));
out:
	if (rc < 0) {
		ek_server_close(*out);
		*out = NULL;
	}
	return rc;
}

const char *ek_server_url(const struct ek_server *server)
{
	return server->url;
}

uint16_t ek_server_port(const struct ek_server *server)
{
	return server->port;
}

int ek_server_run(struct ek_server *server)
{
	while (ek_check_interrupt() == 0) {
		if (ek_mhd.run_wait(server->daemon, LONGEST_WAIT) != MHD_YES)
			return ek_fail(EK_EIO, "the server failed");
		ek_connections_reap(server);
	}
	return 0;
}

void ek_server_close(struct ek_server *server)
{
	if (server == NULL)
		return;
	if (server->daemon != NULL)
		ek_mhd.stop_daemon(server->daemon);
	if (server->listener >= 0)
		(void)close(server->listener);
	free(server->connections);
	free(server);
}
