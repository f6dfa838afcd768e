#include "train/loop/trainer_log.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/json.h"
#include "rebalance/base/log.h"

enum { LOG_LIMIT = 1 << 30 };

static double number_of(const cJSON *row, const char *name)
{
	double value;

	return ek_json_get_double(&value, row, name, "log.jsonl") < 0 ? NAN : value;
}

/* The lines up to `step`; what follows is of a training that was killed after its last checkpoint. */
static int keep_lines(struct ek_atomic_file *out, const struct ek_buffer *old, uint64_t step,
                      struct ek_trainer_log *log)
{
	const char *line = old->data;
	int rc = 0;

	for (const char *end; line != NULL && (end = strchr(line, '\n')) != NULL; line = end + 1) {
		cJSON *row = NULL;
		uint64_t of;
		int known = ek_json_parse(&row, line, (size_t)(end - line), "log.jsonl") == 0 &&
		            ek_json_get_u64(&of, row, "step", "log.jsonl") == 0 && of <= step;

		if (known && line == old->data)
			log->first = number_of(row, "loss");
		if (known) {
			log->last = number_of(row, "loss");
			log->judged = number_of(row, "held_out_loss");
		}
		cJSON_Delete(row);
		if (!known)
			break;
		EK_TRY(ek_atomic_write(out, line, (size_t)(end + 1 - line)));
	}
out:
	return rc;
}

int ek_trainer_log_init(struct ek_trainer_log *log, const char *const *part_names, int group_count)
{
	int rc;

	*log = (struct ek_trainer_log){
		.fd = -1, .part_names = part_names, .group_count = group_count, .first = NAN, .last = NAN, .judged = NAN
	};
	while (part_names != NULL && part_names[log->part_count] != NULL)
		log->part_count++;
	log->count = 3 + (size_t)log->part_count + 2 * (size_t)group_count;
	EK_TRY(ek_alloc(&log->sums, log->count, sizeof *log->sums));
	log->images = log->sums;
	log->seconds = log->images + 1;
	log->loss = log->seconds + 1;
	log->parts = log->loss + 1;
	log->group_losses = log->parts + log->part_count;
	log->group_images = log->group_losses + group_count;
out:
	return rc;
}

int ek_trainer_log_open(struct ek_trainer_log *log, const char *folder, uint64_t step)
{
	struct ek_atomic_file file = { 0 };
	struct ek_buffer old = { 0 };
	int rc;

	EK_TRY(ek_format(&log->path, "%s/log.jsonl", folder));
	if (ek_file_exists(log->path))
		EK_TRY(ek_file_read(&old, log->path, LOG_LIMIT));
	EK_TRY(ek_atomic_open(&file, log->path));
	EK_TRY(keep_lines(&file, &old, step, log));
	EK_TRY(ek_atomic_commit(&file));
	EK_TRY(ek_open_writable(&log->fd, log->path, O_WRONLY | O_APPEND));
	log->started = ek_clock() - *log->seconds;
out:
	ek_atomic_discard(&file);
	ek_buffer_release(&old);
	return rc;
}

int ek_trainer_log_sync(struct ek_trainer_log *log)
{
	*log->seconds = ek_clock() - log->started;
	return fsync(log->fd) == 0 ? 0 : ek_fail_errno("cannot write %s", log->path);
}

void ek_trainer_log_release(struct ek_trainer_log *log)
{
	if (log->path != NULL && log->fd >= 0)
		(void)close(log->fd);
	free(log->path);
	free(log->sums);
	*log = (struct ek_trainer_log){ .fd = -1 };
}

void ek_trainer_log_add(struct ek_trainer_log *log, double loss, const double *parts, int32_t group)
{
	*log->loss += loss;
	++*log->images;
	for (int i = 0; i < log->part_count; i++)
		log->parts[i] += parts[i];
	if (group >= 0 && group < log->group_count) {
		log->group_losses[group] += loss;
		log->group_images[group]++;
	}
}

static int add_groups(cJSON *row, const char *name, const double *means, int count)
{
	cJSON *array;
	int rc;

	EK_TRY(ek_json_add_array(&array, row, name));
	for (int i = 0; i < count; i++)
		EK_TRY(ek_json_add_double(array, NULL, means[i]));
out:
	return rc;
}

static int fill(cJSON *row, struct ek_trainer_log *log, const struct ek_trainer_line *line)
{
	const double images = *log->images, seconds = ek_clock() - log->started;
	int rc;

	EK_TRY(ek_json_add_u64(row, "step", line->step));
	EK_TRY(ek_json_add_double(row, "epoch", line->epoch));
	EK_TRY(ek_json_add_double(row, "loss", *log->loss / images));
	for (int i = 0; i < log->part_count; i++)
		EK_TRY(ek_json_add_double(row, log->part_names[i], log->parts[i] / images));
	EK_TRY(ek_json_add_double(row, "gradient_norm", line->norm));
	EK_TRY(ek_json_add_double(row, "rate", line->rate));
	EK_TRY(ek_json_add_double(row, "seconds", line->seconds));
	EK_TRY(ek_json_add_double(row, "images_per_second", seconds > 0 ? images / seconds : NAN));
	EK_TRY(ek_json_add_double(row, "seconds_left", line->left));
	if (isfinite(line->judged))
		EK_TRY(ek_json_add_double(row, "held_out_loss", line->judged));
	if (log->group_count > 0) {
		for (int i = 0; i < log->group_count; i++)
			log->group_losses[i] =
				log->group_images[i] > 0 ? log->group_losses[i] / log->group_images[i] : NAN;
		EK_TRY(add_groups(row, "loss_by_cluster", log->group_losses, log->group_count));
		if (line->judged_groups != NULL)
			EK_TRY(add_groups(row, "held_out_loss_by_cluster", line->judged_groups, log->group_count));
	}
out:
	return rc;
}

int ek_trainer_log_write(struct ek_trainer_log *log, const struct ek_trainer_line *line)
{
	cJSON *row = cJSON_CreateObject();
	char *text = NULL;
	struct ek_buffer out = { 0 };
	int rc;

	if (row == NULL)
		return ek_fail(EK_ENOMEM, "no memory for a line of %s", log->path);
	EK_TRY(fill(row, log, line));
	if ((text = cJSON_PrintUnformatted(row)) == NULL) {
		rc = ek_fail(EK_ENOMEM, "no memory for a line of %s", log->path);
		goto out;
	}
	EK_TRY(ek_buffer_printf(&out, "%s\n", text));
	EK_TRY(ek_write_all(log->fd, out.data, out.size, log->path));
	if (isnan(log->first))
		log->first = *log->loss / *log->images;
	memset(log->sums, 0, log->count * sizeof *log->sums);
	log->started = ek_clock();
out:
	ek_buffer_release(&out);
	free(text);
	cJSON_Delete(row);
	return rc;
}
