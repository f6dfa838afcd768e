/* Time limits that a client cannot stretch by sending a byte now and then, as it can libmicrohttpd's. */
#include <sys/socket.h>

#include "rebalance/base/log.h"
#include "reports/server/server_internal.h"

/* Seconds between two looks, and for a request to come when all places are taken. */
static const double look_every = 0.2, grace = 0.1;

void ek_connections_notify(void *context, struct MHD_Connection *connection, void **own,
                           enum MHD_ConnectionNotificationCode what)
{
	struct ek_server *server = context;
	const union MHD_ConnectionInfo *info =
		ek_mhd.get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*own != NULL)
			((struct ek_connection *)*own)->fd = -1;
		return;
	}
	/* There is a free place: the daemon has the same limit. */
	for (unsigned i = 0; i < server->options.connections && *own == NULL && info != NULL; i++)
		if (server->connections[i].fd < 0) {
			*own = &server->connections[i];
			server->connections[i].fd = info->connect_fd;
			server->connections[i].is_sending = 0;
			server->connections[i].deadline = ek_clock() + server->options.receive_seconds;
		}
}

void ek_connections_expect(struct MHD_Connection *connection, int is_sending, double seconds)
{
	const union MHD_ConnectionInfo *info =
		ek_mhd.get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct ek_connection *own = info != NULL ? info->socket_context : NULL;

	if (own != NULL) {
		own->is_sending = is_sending;
		own->deadline = ek_clock() + seconds;
	}
}

/* By epoll, libmicrohttpd 0.9.75 does not see the end of a connection that came right behind half a request. */
static int has_gone(const struct ek_connection *connection)
{
	char byte;

	return !connection->is_sending && recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Whoever connects sends at once. When no place is left, one that has not, nor has anything that the daemon has yet to
 * read, makes room for those that wait. */
static int is_silent(const struct ek_server *server, const struct ek_connection *connection, double now)
{
	const double since = connection->deadline - server->options.receive_seconds;
	char byte;

	return !connection->is_sending && now > since + grace &&
	       recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

void ek_connections_reap(struct ek_server *server)
{
	const double now = ek_clock();
	unsigned taken = 0;

	if (now < server->looked_at + look_every)
		return;
	server->looked_at = now;
	for (unsigned i = 0; i < server->options.connections; i++)
		taken += server->connections[i].fd >= 0;
	/* The daemon sees that the socket is shut, and closes the connection. */
	for (unsigned i = 0; i < server->options.connections; i++) {
		const struct ek_connection *connection = &server->connections[i];

		if (connection->fd >= 0 &&
		    (now > connection->deadline || has_gone(connection) ||
		     (taken == server->options.connections && is_silent(server, connection, now))))
			(void)shutdown(connection->fd, SHUT_RDWR);
	}
}
