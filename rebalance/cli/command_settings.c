#include "rebalance/cli/command.h"

#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/pipeline/device.h"

#define LARGEST_COUNT 9007199254740991.0 /* 2^53 - 1: what JSON keeps exactly */

const struct ek_option ek_common_rows[EK_COMMON + 1] = {
	{ .name = "seed",
	  EK_INTEGER(struct ek_settings, common.seed, "N", 0, LARGEST_COUNT),
	  .help = "seed of every random choice" },
	{ .name = "threads",
	  EK_INTEGER(struct ek_settings, common.threads, "N", 1, 1024),
	  .zero = "auto",
	  .help = "threads to use; results do not depend on it" },
	{ .name = "device",
	  EK_STRING(struct ek_settings, common.device, "auto|cpu|cuda|cuda:N"),
	  .check = ek_device_check,
	  .help = "where to compute: on the processor, on an NVIDIA GPU (the first, or number N), or on a GPU where "
	          "there is one and the work is worth it" },
	{ .name = "force",
	  EK_FLAG(struct ek_settings, steps.force),
	  .help = "recompute what this command makes, even if it is current" },
	{ .name = "json",
	  EK_FLAG(struct ek_settings, common.json),
	  .help = "print one JSON document instead of a table" },
	{ .name = "quiet",
	  .letter = 'q',
	  EK_FLAG(struct ek_settings, common.quiet),
	  .help = "no progress, no messages but warnings" },
	{ .name = "help", .letter = 'h', EK_FLAG(struct ek_settings, common.help), .help = "this text" },
	{ .name = NULL },
};
static const struct ek_option output_rows[] = {
	{ .name = "output",
	  .letter = 'o',
	  EK_STRING(struct ek_settings, common.output, "RUN"),
	  .help = "the run directory; made if it is not there" },
	{ .name = NULL },
};

static const struct ek_option recipe_rows[] = {
	{ .name = "recipe",
	  EK_PATH(struct ek_settings, recipe.file, "FILE.json"),
	  .help = "a file that is there is replayed: it gives every option, but those of the command line win; one "
	          "that is not is written" },
	{ .name = NULL },
};

int ek_settings_init(struct ek_settings *s, const struct ek_command *command)
{
	const struct ek_own *own = command->own;

	*s = (struct ek_settings){ .common.device = "auto" };
	ek_steps_options_init(&s->steps);
	if (own == NULL)
		return 0;
	if ((s->own = malloc(own->size)) == NULL)
		return ek_fail(EK_ENOMEM, "no memory for options");
	memcpy(s->own, own->defaults, own->size);
	return 0;
}

void ek_settings_release(struct ek_settings *s)
{
	free(s->own);
	ek_steps_options_release(&s->steps);
}

struct ek_option_table ek_settings_common(struct ek_settings *s)
{
	return (struct ek_option_table){ "Common options", ek_common_rows, s, &s->given[EK_GIVEN_COMMON] };
}

int ek_settings_replay(struct ek_settings *s, const struct ek_command *command, struct ek_strings *strings)
{
	const struct ek_option_table common = ek_settings_common(s);
	struct ek_recipe *r = &s->recipe;
	int rc;

	if (r->file == NULL)
		return 0;
	r->command = command->name;
	r->own = ek_settings_own(s, command);
	r->steps = &s->steps;
	r->seed = &s->common.seed;
	r->seed_given = ek_option_is_given(&common, "seed");
	r->strings = strings;
	EK_TRY(ek_do_replay(r));
	if (r->seed_given)
		*common.given |= UINT64_C(1) << (ek_option_find(&common, "seed") - common.rows);
out:
	return rc;
}

int ek_settings_check(struct ek_settings *s, const struct ek_command *command)
{
	const struct ek_own *own = command->own;
	int rc = 0;

	if (s->recipe.replayed)
		return 0;
	for (int i = 0; own != NULL && i < EK_OWN_GROUPS && own->rows[i] != NULL; i++) {
		const struct ek_option_table table = { "", own->rows[i], s->own, &s->given[EK_GIVEN_OWN + i] };

		EK_TRY(ek_options_check(&table));
	}
out:
	return rc;
}

void ek_settings_finish(struct ek_settings *s)
{
	const struct ek_option_table common = ek_settings_common(s);

	s->steps.seed_kept = s->recipe.has_steps;
	s->steps.seed_given = s->steps.seed_kept || ek_option_is_given(&common, "seed");
	s->steps.seed = s->steps.seed_kept ? s->recipe.steps_seed : s->common.seed;
}

struct ek_option_table ek_settings_own(struct ek_settings *s, const struct ek_command *command)
{
	return (struct ek_option_table){ "What", command->own->rows[0], s->own, &s->given[EK_GIVEN_OWN] };
}

void ek_command_tables(struct ek_option_table tables[EK_MAX_TABLES], const struct ek_command *command,
                       struct ek_settings *s)
{
	int count = 0;

	if (command->takes_output)
		tables[count++] = (struct ek_option_table){ "Where", output_rows, s, &s->given[EK_GIVEN_OUTPUT] };
	for (int i = 0; command->own != NULL && i < EK_OWN_GROUPS && command->own->rows[i] != NULL; i++)
		tables[count++] = (struct ek_option_table){ i == 0 ? "What" : "", command->own->rows[i], s->own,
			                                    &s->given[EK_GIVEN_OWN + i] };
	if (command->has_recipe)
		tables[count++] = (struct ek_option_table){ "", recipe_rows, s, &s->given[EK_GIVEN_RECIPE] };
	for (const enum ek_step_id *id = command->steps; id != NULL && *id != EK_STEP_END; id++)
		if (ek_step_rows[*id][0].name != NULL)
			tables[count++] = ek_step_table(&s->steps, *id);
	tables[count++] = ek_settings_common(s);
	tables[count] = (struct ek_option_table){ .title = NULL };
}

void ek_command_tables_told(struct ek_option_table tables[EK_MAX_TABLES], const struct ek_command *command,
                            struct ek_settings *s)
{
	struct ek_option *told = s->told;

	ek_command_tables(tables, command, s);
	for (const struct ek_option *o = ek_common_rows; o->name != NULL; o++)
		if (strcmp(o->name, "device") == 0 ? command->ways == EK_WAYS_GPU
		                                   : command->idle == NULL || strstr(command->idle, o->name) == NULL)
			*told++ = *o;
	*told = (struct ek_option){ .name = NULL };
	while (tables->rows != ek_common_rows)
		tables++;
	tables->rows = s->told;
}

/* As the user would write it, " --name value"; nothing if it is the default. */
static int append_option(struct ek_buffer *out, const struct ek_option *o, const void *values, const void *defaults)
{
	const void *field = ek_option_field(o, values), *standard = ek_option_field(o, defaults);
	const char *text;

	switch (o->held) {
	case EK_HOLDS_INT:
		if (*(const int *)field == *(const int *)standard)
			return 0;
		return o->kind == EK_KIND_FLAG ? ek_buffer_printf(out, " --%s", o->name)
		                               : ek_buffer_printf(out, " --%s %s", o->name,
		                                                  ek_option_choice(o, *(const int *)field).name);
	case EK_HOLDS_INT64:
		if (*(const int64_t *)field == *(const int64_t *)standard)
			return 0;
		return ek_buffer_printf(out, " --%s %lld", o->name, (long long)*(const int64_t *)field);
	case EK_HOLDS_DOUBLE:
		if (memcmp(field, standard, sizeof(double)) == 0)
			return 0;
		return ek_buffer_printf(out, " --%s %g", o->name, *(const double *)field);
	case EK_HOLDS_TEXT:
		text = *(const char *const *)field;
		return text == *(const char *const *)standard ? 0 : ek_buffer_printf(out, " --%s %s", o->name, text);
	case EK_HOLDS_LIST:
		break;
	}
	return 0;
}

int ek_command_words(struct ek_buffer *out, const struct ek_invocation *i)
{
	const struct ek_own *own = i->command->own;
	int rc;

	EK_TRY(ek_buffer_printf(out, "evenkeel %s", i->command->name));
	for (int k = 0; k < i->arguments.count; k++)
		EK_TRY(ek_buffer_printf(out, " %s", i->arguments.positional[k]));
	for (int k = 0; own != NULL && k < EK_OWN_GROUPS && own->rows[k] != NULL; k++)
		for (const struct ek_option *o = own->rows[k]; o->name != NULL; o++)
			EK_TRY(append_option(out, o, i->settings.own, own->defaults));
	if (i->settings.common.seed != 0)
		EK_TRY(ek_buffer_printf(out, " --seed %lld", (long long)i->settings.common.seed));
out:
	return rc;
}
