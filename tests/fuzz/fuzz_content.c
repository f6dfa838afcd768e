/* Any bytes as a file of unknown kind: what it is called is a text of one line, and the same for its first bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/io/content.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *name = ek_content_name(data, size);
	struct ek_buffer text = { 0 };

	if (ek_content_describe(&text, data, size) < 0 || text.size == 0 || strlen(text.data) != text.size)
		abort();
	if (name != NULL && strstr(text.data, name) == NULL)
		abort();
	for (size_t i = 0; i < text.size; i++)
		if ((unsigned char)text.data[i] < ' ')
			abort();
	ek_buffer_release(&text);
	return 0;
}
