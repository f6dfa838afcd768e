/* Any bytes as a prompt: tokens of the vocabulary between start and end, zeros behind, or no UTF-8. */
#include <stdint.h>
#include <stdlib.h>

#include "analysis/embed/clip_tokenizer.h"
#include "rebalance/base/error.h"
#include "rebalance/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ek_clip_tokenizer *tokenizer;
	const char *text = (const char *)data;
	int32_t tokens[EK_CLIP_CONTEXT];
	int count, cut = 0;

	if (tokenizer == NULL && ek_clip_tokenizer_new(&tokenizer) < 0)
		abort();
	count = ek_clip_tokenize(tokens, &cut, tokenizer, text, size);
	if (ek_utf8_valid_prefix(text, size) < size) {
		if (count != EK_EDATA)
			abort();
		return 0;
	}
	if (count < 2 || count > EK_CLIP_CONTEXT || tokens[0] != EK_CLIP_START || tokens[count - 1] != EK_CLIP_END ||
	    (cut && count < EK_CLIP_CONTEXT))
		abort();
	for (int i = 0; i < EK_CLIP_CONTEXT; i++)
		if (tokens[i] < 0 || tokens[i] >= EK_CLIP_VOCABULARY || (i >= count && tokens[i] != 0))
			abort();
	return 0;
}
