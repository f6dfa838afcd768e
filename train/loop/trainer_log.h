/* log.jsonl of a training: one line every so many steps. Internal to train/loop. */
#ifndef EK_LOOP_TRAINER_LOG_H
#define EK_LOOP_TRAINER_LOG_H

#include "train/loop/trainer.h"

enum { EK_LOG_PARTS = 8 };

struct ek_trainer_log {
	char *path;
	int fd, part_count, group_count;
	const char *const *part_names;
	/* Since the last line. */
	double loss, parts[EK_LOG_PARTS], *group_losses;
	uint64_t images, *group_images;
	double started; /* clock at its start */
	double first;   /* loss of the first line of all; NaN: there is none yet */
};

/* Opens FOLDER/log.jsonl and drops lines of steps after `step`. */
int ek_trainer_log_open(struct ek_trainer_log *log, const char *folder, uint64_t step, const char *const *part_names,
                        int group_count);
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
