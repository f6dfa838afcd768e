/* A page of this machine (reports/server/server.h) until the process is asked to end. */
#ifndef EK_PIPELINE_SERVE_H
#define EK_PIPELINE_SERVE_H

#include "reports/server/server.h"

/* Where it is. */
struct ek_page_address {
	const char *url;
	unsigned port;
	uint64_t images;
	const char *file; /* that it writes to */
};

/* Told before the page is served; ends it with a negative code. */
typedef int (*ek_page_announce)(void *context, const struct ek_page_address *address);

/* EK_EUSAGE: the port is taken. EK_EIO. */
int ek_serve(const struct ek_server_options *options, const char *file, uint64_t images, ek_page_announce announce,
             void *context);

#endif
