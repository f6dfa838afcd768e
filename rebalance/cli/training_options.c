/* Options that every training has. */
#include "rebalance/cli/training_options.h"
#include "rebalance/plan/subset.h"

/* Returns the place of the end. */
static struct ek_option *add(struct ek_option *to, const struct ek_option *from)
{
	ek_settings_fill(to, from);
	while (to->name != NULL)
		to++;
	return to;
}

static struct ek_option *add_first(struct ek_option *to, struct ek_training_options *w)
{
	const struct ek_option options[] = {
		{ .name = "name",
		  .kind = EK_KIND_STRING,
		  .target = &w->name,
		  .argument = "NAME",
		  .check = ek_subset_check_name,
		  .help = "the files go to RUN/models/NAME; the same command goes on where it was stopped" },
		{ .name = "subset",
		  .kind = EK_KIND_STRING,
		  .target = &w->subset,
		  .argument = "NAME",
		  .help = "train on RUN/subsets/NAME" },
		{ .name = "weights",
		  .kind = EK_KIND_STRING,
		  .target = &w->weights,
		  .argument = "NAME",
		  .help = "show images as often as RUN/weights/NAME says" },
		{ .name = "loss-weights",
		  .kind = EK_KIND_STRING,
		  .target = &w->loss_weights,
		  .argument = "NAME",
		  .help = "multiply each image's loss by its weight in RUN/weights/NAME (mean 1) instead" },
		{ .name = "steps",
		  .kind = EK_KIND_INTEGER,
		  .target = &w->steps,
		  .argument = "N",
		  .zero = "none",
		  .low = 1,
		  .high = 1e12,
		  .help = "steps of training" },
		{ .name = "epochs",
		  .kind = EK_KIND_NUMBER,
		  .target = &w->epochs,
		  .argument = "E",
		  .zero = "none",
		  .low = 1e-6,
		  .high = 1e9,
		  .help = "or passes over the images" },
		{ .name = "time-limit",
		  .kind = EK_KIND_STRING,
		  .target = &w->time_limit,
		  .argument = "T",
		  .help = "or, or at most, a time, as 90s, 10m or 2h, over all sessions. Without --steps and --epochs "
		          "the "
		          "rate follows the clock, so that the result depends on the machine; 10m if no end is given" },
		{ .name = "batch",
		  .kind = EK_KIND_INTEGER,
		  .target = &w->batch,
		  .argument = "N",
		  .low = 1,
		  .high = 65536,
		  .help = "images of a step" },
		{ .name = "rate",
		  .kind = EK_KIND_NUMBER,
		  .target = &w->rate,
		  .argument = "R",
		  .zero = "auto",
		  .low = 1e-9,
		  .high = 10,
		  .help = "the highest learning rate; auto: by the size of the model" },
		{ .name = "schedule",
		  .kind = EK_KIND_CHOICE,
		  .argument = "HOW",
		  .target = &w->schedule,
		  .choices = ek_schedules,
		  .help = "how the rate falls after the warm-up" },
		{ .name = "warmup",
		  .kind = EK_KIND_INTEGER,
		  .target = &w->warmup,
		  .argument = "N",
		  .low = 0,
		  .high = 1e9,
		  .help = "steps of rising rate at the start" },
		{ .name = "decay",
		  .kind = EK_KIND_NUMBER,
		  .target = &w->decay,
		  .argument = "D",
		  .low = 0,
		  .high = 10,
		  .help = "weight decay" },
		{ .name = "ema",
		  .kind = EK_KIND_NUMBER,
		  .target = &w->average,
		  .argument = "A",
		  .low = 0,
		  .high = 0.9999999,
		  .help = "the average of the parameters keeps A of itself at each step, less in the first ones; "
		          "samples "
		          "are made with the average" },
		{ .name = "clip",
		  .kind = EK_KIND_NUMBER,
		  .target = &w->clip,
		  .argument = "C",
		  .zero = "none",
		  .low = 1e-6,
		  .high = 1e9,
		  .help = "the largest norm of a step's gradient" },
		{ .name = "precision",
		  .kind = EK_KIND_CHOICE,
		  .argument = "HOW",
		  .target = &w->precision,
		  .choices = ek_precisions,
		  .help = "of matrix products" },
		{ .name = "validate",
		  .kind = EK_KIND_NUMBER,
		  .target = &w->validate,
		  .argument = "F",
		  .low = 0,
		  .high = 0.5,
		  .help = "share of the images, at most 2,048, chosen by content, to judge by and not to train on; not "
		          "used if the audit held images out: those are taken" },
		{ .name = "checkpoint-every",
		  .kind = EK_KIND_STRING,
		  .target = &w->checkpoint_every,
		  .argument = "T",
		  .help = "time between checkpoints and previews" },
		{ .name = "keep-checkpoints",
		  .kind = EK_KIND_INTEGER,
		  .target = &w->keep,
		  .argument = "N",
		  .low = 1,
		  .high = 1e6,
		  .help = "how many of the newest to keep" },
		{ .name = "log-every",
		  .kind = EK_KIND_INTEGER,
		  .target = &w->log_every,
		  .argument = "N",
		  .low = 1,
		  .high = 1e9,
		  .help = "steps a line of log.jsonl" },
		{ .name = "dry-run",
		  .kind = EK_KIND_FLAG,
		  .target = &w->dry_run,
		  .help = "say how large it is, what memory and time it takes, and do nothing" },
		{ .name = NULL },
	};

	return add(to, options);
}

static struct ek_option *add_last(struct ek_option *to, struct ek_training_options *w,
                                  const struct ek_training_words *words)
{
	const struct ek_option options[] = {
		{ .name = "flip", .kind = EK_KIND_FLAG, .target = &w->flip, .help = words->flip },
		{ .name = "recompute",
		  .kind = EK_KIND_FLAG,
		  .target = &w->recompute,
		  .help = "compute values again in the backward pass: less memory, a third more work" },
		{ .name = "slice",
		  .kind = EK_KIND_INTEGER,
		  .target = &w->slice,
		  .argument = "N",
		  .zero = "auto",
		  .low = 1,
		  .high = 4096,
		  .help = "images that a thread takes at once; the batch is a multiple of it" },
		{ .name = "from",
		  .kind = EK_KIND_PATH,
		  .target = &w->from,
		  .argument = words->from_argument,
		  .help = words->from },
		{ .name = NULL },
	};

	return add(to, options);
}

void ek_training_rows(struct ek_settings *settings, struct ek_training_options *w, const struct ek_option *own,
                      const struct ek_training_words *words)
{
	*w = (struct ek_training_options){ .batch = 128,
		                           .average = 0.9999,
		                           .clip = 1,
		                           .warmup = 100,
		                           .schedule = EK_SCHEDULE_COSINE,
		                           .validate = 0.02,
		                           .checkpoint_every = "5m",
		                           .keep = 2,
		                           .log_every = 50 };
	(void)add_last(add(add_first(settings->own_options, w), own), w, words);
}
