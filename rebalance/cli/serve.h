/* What is said of a page of this machine. */
#ifndef EK_CLI_SERVE_H
#define EK_CLI_SERVE_H

#include "rebalance/pipeline/serve.h"

/* Print its address, with --json as {"url", "port", "images", "file"}. An ek_page_announce; the context is the
 * invocation. */
int ek_announce(void *context, const struct ek_page_address *address);

#endif
