/* Time limits that a client cannot stretch by sending a byte now and then, as it can libmicrohttpd's. */
#include <sys/socket.h>

#include "rebalance/base/log.h"
#include "reports/server/internal.h"

void ek_connections_notify(void *context, struct MHD_Connection *connection, void **own,
                           enum MHD_ConnectionNotificationCode what)
{
	struct ek_server *server = context;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

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
			server->connections[i].deadline = ek_clock() + server->options.receive_seconds;
		}
}

void ek_connections_expect(struct MHD_Connection *connection, double seconds)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct ek_connection *own = info != NULL ? info->socket_context : NULL;

	if (own != NULL)
		own->deadline = ek_clock() + seconds;
}

void ek_connections_reap(struct ek_server *server)
{
	const double now = ek_clock();

	/* The daemon sees the end of the connection, and closes it. */
	for (unsigned i = 0; i < server->options.connections; i++)
		if (server->connections[i].fd >= 0 && now > server->connections[i].deadline)
			(void)shutdown(server->connections[i].fd, SHUT_RDWR);
}
