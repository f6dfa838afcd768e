/*
 * Options: a command declares them once, in a table; parsing, ranges, --help, shell completion and the manual page
 * come from it.
 */
#ifndef EK_CLI_OPTIONS_H
#define EK_CLI_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum ek_option_kind {
	EK_KIND_FLAG,    /* int: 1 if given */
	EK_KIND_INTEGER, /* int64_t in [low, high] */
	EK_KIND_NUMBER,  /* double in [low, high] */
	EK_KIND_STRING,  /* const char * */
	EK_KIND_CHOICE   /* int: index into choices */
};

struct ek_choice {
	const char *name, *help;
};

struct ek_option {
	const char *name; /* without "--" */
	char letter;      /* short form, or 0 */
	enum ek_option_kind kind;
	void *target;         /* holds the default before parsing */
	const char *argument; /* what --help calls the value */
	const char *help;
	double low, high;
	const struct ek_choice *choices; /* ends with a NULL name */
	const char *zero;                /* INTEGER: a word that stands for 0, as "auto", or NULL */
	int *given;                      /* set to 1 when the user gave it; may be NULL */
};

#define EK_OPTION_FLAG(name_, target_, help_)                                                                          \
	{                                                                                                              \
		.name = (name_), .kind = EK_KIND_FLAG, .target = (target_), .help = (help_)                            \
	}
#define EK_OPTION_INTEGER(name_, target_, argument_, low_, high_, help_)                                               \
	{                                                                                                              \
		.name = (name_), .kind = EK_KIND_INTEGER, .target = (target_), .argument = (argument_), .low = (low_), \
		.high = (high_), .help = (help_)                                                                       \
	}
#define EK_OPTION_NUMBER(name_, target_, argument_, low_, high_, help_)                                                \
	{                                                                                                              \
		.name = (name_), .kind = EK_KIND_NUMBER, .target = (target_), .argument = (argument_), .low = (low_),  \
		.high = (high_), .help = (help_)                                                                       \
	}
#define EK_OPTION_STRING(name_, target_, argument_, help_)                                                             \
	{                                                                                                              \
		.name = (name_), .kind = EK_KIND_STRING, .target = (target_), .argument = (argument_), .help = (help_) \
	}
#define EK_OPTION_CHOICE(name_, target_, choices_, help_)                                                              \
	{                                                                                                              \
		.name = (name_), .kind = EK_KIND_CHOICE, .target = (target_), .argument = "NAME",                      \
		.choices = (choices_), .help = (help_)                                                                 \
	}
#define EK_OPTION_END                                                                                                  \
	{                                                                                                              \
		.name = NULL                                                                                           \
	}

#endif
