#include "rebalance/pipeline/serve.h"

#include "rebalance/base/error.h"

int ek_serve(const struct ek_server_options *options, const char *file, uint64_t images, ek_page_announce announce,
             void *context)
{
	struct ek_page_address address = { .images = images, .file = file };
	struct ek_server *server = NULL;
	int rc;

	EK_TRY(ek_server_open(&server, options));
	address.url = ek_server_url(server);
	address.port = ek_server_port(server);
	EK_TRY(announce(context, &address));
	EK_TRY(ek_server_run(server));
out:
	ek_server_close(server);
	return rc;
}
