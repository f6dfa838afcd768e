#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/log.h"
#include "rebalance/cli/command.h"
#include "rebalance/cli/output.h"
#include "rebalance/cli/terminal.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_DATA = 3, EXIT_INTERRUPTED = 130 };

static int exit_code(int rc)
{
	switch (rc) {
	case EK_EUSAGE:
		return EXIT_USAGE;
	case EK_EDATA:
		return EXIT_DATA;
	case EK_EINTERRUPTED:
		return EXIT_INTERRUPTED;
	default:
		return rc < 0 ? EXIT_FAILED : EXIT_DONE;
	}
}

/* The first signal asks for a stop that saves; the second one kills. */
static void on_signal(int number)
{
	ek_interrupt();
	(void)signal(number, SIG_DFL);
}

/* Another program cut off what we have mapped, as by writing over an array in place: told like any file that cannot be
 * read. Any other fault comes again, and kills. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;
	const char *path = ek_map_path_at(info->si_addr);

	(void)context;
	if (path == NULL) {
		(void)signal(number, SIG_DFL);
		return;
	}
	while (atomic_flag_test_and_set(&told)) /* another thread tells, and ends us */
		(void)pause();
	ek_terminal_signal_error(path, "became shorter while it was read");
	_exit(EXIT_FAILED);
}

static void catch_signals(void)
{
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	const struct sigaction bus = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };

	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGBUS, &bus, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* a full quota is a failed write, told like any other */
}

/* A closed standard stream would lend its number to the next file that is opened, and messages would go into that. Such
 * a stream is filled with /dev/null the wrong way round: writing a result there still fails. */
static int fill_streams(void)
{
	static const int modes[] = { O_WRONLY, O_RDONLY, O_WRONLY };

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
			return ek_fail_errno("cannot open /dev/null");
	return 0;
}

/* `evenkeel help prune | head` has read what it wanted: the exit code tells it, and nobody needs a message. */
static int reader_is_gone(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

static const char *spelled_out(const char *word)
{
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		return "help";
	return strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0 ? "version" : word;
}

int main(int argc, char **argv)
{
	const char *const words[] = { argc > 1 ? spelled_out(argv[1]) : "help", argc > 2 ? argv[2] : "" };
	const struct ek_command *command;
	int rc = fill_streams(), used;

	if (rc < 0)
		return EXIT_FAILED;
	catch_signals();
	rc = ek_output_guard();
	if (rc == 0)
		rc = ek_command_of_words(&command, &used, words, argc > 2 ? 2 : 1);
	if (rc == 0)
		rc = ek_command_invoke(command, argc > used ? argc - used : 1, argc > used ? argv + used : argv);
	/* A full disk behind stdout is a failure, too. */
	if (rc >= 0 && (fflush(stdout) != 0 || ferror(stdout))) {
		if (reader_is_gone())
			return EXIT_FAILED;
		rc = ek_fail_errno("cannot write the result");
	}
	if (rc < 0)
		ek_terminal_error(ek_error_message());
	return exit_code(rc);
}
