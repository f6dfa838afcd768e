/* Any bytes as a log of labels: what was taken prints and reads back as the same labels. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reports/label_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(const struct ek_label_log *a, const struct ek_label_log *b)
{
	if (a->group_count != b->group_count || a->label_count != b->label_count || a->none != b->none ||
	    a->disputed != b->disputed)
		abort();
	for (size_t i = 0; i < a->group_count; i++)
		if (strcmp(a->groups[i], b->groups[i]) != 0 || a->sizes[i] != b->sizes[i])
			abort();
	for (size_t i = 0; i < a->label_count; i++)
		if (a->labels[i].image != b->labels[i].image || a->labels[i].group != b->labels[i].group ||
		    a->labels[i].people != b->labels[i].people)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ek_label_log log = { 0 }, back = { 0 };
	struct ek_buffer bytes = { 0 }, text = { 0 };

	if (ek_buffer_append(&bytes, data, size) < 0 || ek_buffer_text(&bytes, "") < 0 ||
	    ek_buffer_text(&text, "") < 0 || ek_label_log_parse(&log, bytes.data, bytes.size, "fuzz") < 0)
		abort();
	if (log.lines.whole_bytes > size || (!log.lines.is_cut && log.lines.whole_bytes != size))
		abort();
	for (size_t i = 0; i < log.act_count; i++)
		if (!log.acts[i].undone && ek_label_log_format(&text, &log, &log.acts[i], 0) < 0)
			abort();
	if (ek_label_log_parse(&back, text.data, text.size, "back") < 0 || back.lines.damaged != 0 || back.lines.is_cut)
		abort();
	compare(&log, &back);
	while (log.person_count > 0 && ek_label_log_newest(&log, 0) != NULL)
		if (ek_label_log_undo(&log, 0) < 0)
			abort();
	ek_label_log_release(&log);
	ek_label_log_release(&back);
	ek_buffer_release(&bytes);
	ek_buffer_release(&text);
	return 0;
}
