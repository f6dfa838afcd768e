/* log.jsonl of a training: one line every so many steps. Internal to train/loop. */
#ifndef EK_LOOP_TRAINER_LOG_H
#define EK_LOOP_TRAINER_LOG_H

#include <stddef.h>
#include <stdint.h>

struct ek_trainer_log {
	char *path;
	int fd, part_count, group_count;
	const char *const *part_names;
	/* Since the last line, which a checkpoint keeps: [count], and places in it. */
	double *sums;
	size_t count;
	double *images, *seconds, *loss, *parts, *group_losses, *group_images;
	double started;      /* clock at its start */
	double first;        /* loss of the first line of all; NaN: there is none yet */
	double last, judged; /* losses of the last line that was there when it was opened; NaN: none */
};

int ek_trainer_log_init(struct ek_trainer_log *log, const char *const *part_names, int group_count);
/* Opens FOLDER/log.jsonl, drops lines of steps after `step`, and goes on from the sums. */
int ek_trainer_log_open(struct ek_trainer_log *log, const char *folder, uint64_t step);
/* Before a checkpoint: what is written is on the disk, the sums are those of now. EK_EIO. */
int ek_trainer_log_sync(struct ek_trainer_log *log);
void ek_trainer_log_release(struct ek_trainer_log *log);
/* Count one image. parts: [part_count]; group -1: none. */
void ek_trainer_log_add(struct ek_trainer_log *log, double loss, const double *parts, int32_t group);

struct ek_trainer_line {
	uint64_t step;
	double epoch, norm, rate, seconds, left; /* left: seconds to the end */
	double judged;                           /* NaN: was not judged here */
	const double *judged_groups;             /* [group_count], NaN: no such image; NULL */
};
/* Write the line and start the next. */
int ek_trainer_log_write(struct ek_trainer_log *log, const struct ek_trainer_line *line);

#endif
