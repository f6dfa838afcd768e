#include "rebalance/cli/serve.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/log.h"
#include "rebalance/cli/command.h"

int ek_announce(void *context, const struct ek_page_address *address)
{
	const struct ek_invocation *i = context;
	struct ek_buffer text = { 0 };
	int rc = 0;

	if (i->settings.common.json) {
		EK_TRY(ek_buffer_printf(&text, "{\"url\": \"%s\", \"port\": %u, \"images\": %" PRIu64 ", \"file\": ",
		                        address->url, address->port, address->images));
		EK_TRY(ek_json_append_string(&text, address->file, strlen(address->file)));
		(void)printf("%s}\n", text.data);
	} else {
		(void)printf("%s\n", address->url);
	}
	/* Whoever waits for the address gets it now. */
	if (fflush(stdout) != 0)
		rc = ek_fail_errno("cannot write the address");
	ek_info("open this address in a browser on this machine; %s ends it. Every decision is saved as it is made.",
	        isatty(STDIN_FILENO) ? "Ctrl-C" : "SIGINT");
out:
	ek_buffer_release(&text);
	return rc;
}
