/* A server in a thread of its own, spoken to over bare sockets. */
#include "tests/support/support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "rebalance/base/log.h"
#include "reports/server/server.h"

enum { BODY_LIMIT = 1000, CONNECTIONS = 20 };
static const double receive_limit = 0.5; /* seconds */

static struct ek_server *server;
static pthread_t thread;
static int run_result = 1;
static char token[64], port[8];

static int echo(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	return ek_buffer_printf(&reply->body, "%llu:%zu:%s", (unsigned long long)request->number, request->body_size,
	                        request->body);
}

static int fail_as(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	static const int codes[] = { EK_EUSAGE, EK_EDATA, EK_EIO, EK_ENOMEM };

	reply->status = request->number == 4 ? 404 : 200;
	(void)ek_buffer_text(&reply->body, "half an answer");
	return ek_fail(codes[request->number % 4], "it is \"%d\"", (int)request->number);
}

static const char page[] = "the page", large[32 << 20]; /* more than the socket's buffers hold */
static const size_t page_size = sizeof page - 1, large_size = sizeof large;
static const struct ek_server_file page_file = { "text/html", page, &page_size };
static const struct ek_server_file large_file = { "text/plain", large, &large_size };

static const struct ek_server_route routes[] = {
	{ "GET", "/", NULL, &page_file },       { "GET", "/number/#", echo, NULL }, { "GET", "/fail/#", fail_as, NULL },
	{ "GET", "/large", NULL, &large_file }, { "POST", "/echo", echo, NULL },    { NULL, NULL, NULL, NULL },
};

static void *serve(void *unused)
{
	run_result = ek_server_run(server);
	return NULL;
}

static int start(void **state)
{
	const struct ek_server_options options = { .routes = routes,
		                                   .body_bytes = BODY_LIMIT,
		                                   .connections = CONNECTIONS,
		                                   .receive_seconds = receive_limit,
		                                   .send_seconds = 2 };

	assert_ok(ek_server_open(&server, &options));
	(void)snprintf(port, sizeof port, "%u", ek_server_port(server));
	(void)snprintf(token, sizeof token, "%s", strstr(ek_server_url(server), "token=") + 6);
	assert_int_equal(strlen(token), 32);
	return pthread_create(&thread, NULL, serve, NULL);
}

static int stop(void **state)
{
	ek_interrupt();
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(run_result, 0);
	ek_server_close(server);
	return 0;
}

static int dial(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(ek_server_port(server)) };
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static void say(int fd, const char *text, size_t size)
{
	assert_int_equal(send(fd, text, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* What comes until the end of the connection, or for five seconds. */
static const char *hear(int fd)
{
	static char text[1 << 16];
	size_t size = 0;

	for (;;) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		const ssize_t got = poll(&ready, 1, 5000) == 1 ? recv(fd, text + size, sizeof text - 1 - size, 0) : -1;

		if (got <= 0)
			break;
		size += (size_t)got;
	}
	text[size] = 0;
	(void)close(fd);
	return text;
}

/* A request in which %H is the right Host, %O the right Origin, %T the token, %C the header line with the cookie. */
static void expand(char out[2048], const char *text)
{
	size_t at = 0;

	for (; *text != 0 && at < 1900; text++) {
		if (text[0] != '%') {
			out[at++] = *text;
			continue;
		}
		text++;
		at += (size_t)(*text == 'H'   ? snprintf(out + at, 64, "Host: 127.0.0.1:%s\r\n", port)
		               : *text == 'O' ? snprintf(out + at, 64, "Origin: http://127.0.0.1:%s\r\n", port)
		               : *text == 'T' ? snprintf(out + at, 64, "%s", token)
		               : *text == 'P' ? snprintf(out + at, 64, "%s", port)
		               : *text == 'C' ? snprintf(out + at, 128, "Cookie: evenkeel-%s=%s\r\n", port, token)
		                              : snprintf(out + at, 64, "%%"));
	}
	out[at] = 0;
}

static const char *ask(const char *request)
{
	char text[2048];
	const int fd = dial();

	expand(text, request);
	say(fd, text, strlen(text));
	return hear(fd);
}

#define END "Connection: close\r\n\r\n"
#define JSON "Content-Type: application/json\r\n"

static const struct {
	const char *request, *answer; /* how it begins */
	const char *body;             /* how it ends; NULL: as it likes */
} exchanges[] = {
	/* Served. */
	{ "GET /?token=%T HTTP/1.1\r\n%H" END, "HTTP/1.1 200", "the page" },
	{ "GET / HTTP/1.1\r\n%H%C" END, "HTTP/1.1 200", "the page" },
	{ "GET / HTTP/1.1\r\nHost: localhost:%P\r\n%C" END, "HTTP/1.1 200", "the page" },
	{ "GET / HTTP/1.1\r\n%H%O%C" END, "HTTP/1.1 200", "the page" },
	{ "GET /number/17 HTTP/1.1\r\n%H%C" END, "HTTP/1.1 200", "17:0:" },
	{ "POST /echo HTTP/1.1\r\n%H%O%C" JSON "Content-Length: 5\r\n" END "hello", "HTTP/1.1 200", "0:5:hello" },
	{ "POST /echo HTTP/1.1\r\n%H%O%C" JSON "Content-Length: 0\r\n" END, "HTTP/1.1 200", "0:0:" },
	/* Without the token. */
	{ "GET / HTTP/1.1\r\n%H" END, "HTTP/1.1 403", NULL },
	{ "GET /nothing HTTP/1.1\r\n%H" END, "HTTP/1.1 403", NULL },
	{ "GET /?token=0123456789abcdef0123456789abcdef HTTP/1.1\r\n%H" END, "HTTP/1.1 403", NULL },
	{ "GET /?token= HTTP/1.1\r\n%H" END, "HTTP/1.1 403", NULL },
	{ "GET / HTTP/1.1\r\n%HCookie: evenkeel-%P=\r\n" END, "HTTP/1.1 403", NULL },
	{ "GET / HTTP/1.1\r\n%HCookie: evenkeel-1=%T\r\n" END, "HTTP/1.1 403", NULL },
	{ "POST /echo HTTP/1.1\r\n%H%O" JSON "Content-Length: 5\r\n" END "hello", "HTTP/1.1 403", NULL },
	/* Of another page, or by another name. */
	{ "GET / HTTP/1.1\r\nHost: evil.example\r\n%C" END, "HTTP/1.1 403", NULL },
	{ "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n%C" END, "HTTP/1.1 403", NULL },
	{ "GET / HTTP/1.1\r\nHost: 127.0.0.1:%P.evil.example\r\n%C" END, "HTTP/1.1 403", NULL },
	{ "GET / HTTP/1.1\r\n%H%H%C" END, "HTTP/1.1 403", NULL },
	{ "GET / HTTP/1.0\r\n%C" END, "HTTP/1.1 403", NULL },
	{ "GET / HTTP/1.1\r\n%HOrigin: http://evil.example\r\n%C" END, "HTTP/1.1 403", NULL },
	{ "GET / HTTP/1.1\r\n%HOrigin: null\r\n%C" END, "HTTP/1.1 403", NULL },
	{ "GET / HTTP/1.1\r\n%HOrigin: https://127.0.0.1:%P\r\n%C" END, "HTTP/1.1 403", NULL },
	{ "POST /echo HTTP/1.1\r\n%H%C" JSON "Content-Length: 5\r\n" END "hello", "HTTP/1.1 403", NULL },
	{ "POST /echo HTTP/1.1\r\n%H%C" JSON "Origin: http://127.0.0.1:1\r\nContent-Length: 5\r\n" END "hello",
	  "HTTP/1.1 403", NULL },
	{ "POST /echo HTTP/1.1\r\n%H%O%C" JSON "Sec-Fetch-Site: cross-site\r\nContent-Length: 5\r\n" END "hello",
	  "HTTP/1.1 403", NULL },
	/* Paths and methods. */
	{ "GET /../etc/passwd HTTP/1.1\r\n%H%C" END, "HTTP/1.1 400", NULL },
	{ "GET /number%%2f17 HTTP/1.1\r\n%H%C" END, "HTTP/1.1 400", NULL },
	{ "GET /%%2e%%2e/x HTTP/1.1\r\n%H%C" END, "HTTP/1.1 400", NULL },
	{ "GET /nothing HTTP/1.1\r\n%H%C" END, "HTTP/1.1 404", NULL },
	{ "GET /number/-1 HTTP/1.1\r\n%H%C" END, "HTTP/1.1 404", NULL },
	{ "DELETE / HTTP/1.1\r\n%H%O%C" END, "HTTP/1.1 405", NULL },
	{ "POST / HTTP/1.1\r\n%H%O%C" JSON "Content-Length: 2\r\n" END "{}", "HTTP/1.1 405", NULL },
	/* Bodies. */
	{ "POST /echo HTTP/1.1\r\n%H%O%C" JSON END, "HTTP/1.1 411", NULL },
	{ "POST /echo HTTP/1.1\r\n%H%O%C" JSON "Transfer-Encoding: chunked\r\n" END "5\r\nhello\r\n0\r\n\r\n",
	  "HTTP/1.1 411", NULL },
	{ "POST /echo HTTP/1.1\r\n%H%O%C" JSON "Content-Length: 1001\r\n" END, "HTTP/1.1 413", NULL },
	{ "POST /echo HTTP/1.1\r\n%H%O%C" JSON "Content-Length: 99999999999\r\n" END, "HTTP/1.1 413", NULL },
	{ "GET / HTTP/1.1\r\n%H%CContent-Length: 5\r\n" END "hello", "HTTP/1.1 413", NULL },
	{ "POST /echo HTTP/1.1\r\n%H%O%CContent-Type: text/plain\r\nContent-Length: 5\r\n" END "hello", "HTTP/1.1 415",
	  NULL },
	{ "POST /echo HTTP/1.1\r\n%H%O%CContent-Length: 5\r\n" END "hello", "HTTP/1.1 415", NULL },
	/* Failures of an answer. */
	{ "GET /fail/0 HTTP/1.1\r\n%H%C" END, "HTTP/1.1 400", "{\"error\": \"it is \\\"0\\\"\"}" },
	{ "GET /fail/1 HTTP/1.1\r\n%H%C" END, "HTTP/1.1 422", "{\"error\": \"it is \\\"1\\\"\"}" },
	{ "GET /fail/2 HTTP/1.1\r\n%H%C" END, "HTTP/1.1 500", "{\"error\": \"it is \\\"2\\\"\"}" },
	{ "GET /fail/4 HTTP/1.1\r\n%H%C" END, "HTTP/1.1 404", "{\"error\": \"it is \\\"4\\\"\"}" },
};

static void each_request_gets_its_answer(void **state)
{
	for (size_t i = 0; i < sizeof exchanges / sizeof *exchanges; i++) {
		const char *got = ask(exchanges[i].request), *body = strstr(got, "\r\n\r\n");

		print_message("%zu: %.60s: %.12s\n", i, exchanges[i].request, got);
		assert_memory_equal(got, exchanges[i].answer, strlen(exchanges[i].answer));
		assert_non_null(body);
		if (exchanges[i].body != NULL)
			assert_string_equal(body + 4, exchanges[i].body);
		/* The token goes out only to who brought it. */
		if (strncmp(got, "HTTP/1.1 200", 12) != 0)
			assert_null(strstr(got, token));
	}
}

static void a_visit_gets_the_cookie_and_every_answer_its_guards(void **state)
{
	static const char *const guards[] = { "Content-Security-Policy: default-src 'none'; ",
		                              "frame-ancestors 'none'",
		                              "Cache-Control: no-store",
		                              "X-Content-Type-Options: nosniff",
		                              "X-Frame-Options: DENY",
		                              "Referrer-Policy: no-referrer",
		                              "Cross-Origin-Resource-Policy: same-origin" };
	static const char *const requests[] = { "GET /?token=%T HTTP/1.1\r\n%H" END, "GET / HTTP/1.1\r\n%H" END,
		                                "GET /fail/2 HTTP/1.1\r\n%H%C" END };
	char cookie[256];

	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		const char *got = ask(requests[i]);

		for (size_t j = 0; j < sizeof guards / sizeof *guards; j++)
			assert_non_null(strstr(got, guards[j]));
		assert_int_equal(strstr(got, "Set-Cookie") != NULL, i == 0);
		(void)snprintf(cookie, sizeof cookie,
		               "Set-Cookie: evenkeel-%s=%s; Path=/; HttpOnly; SameSite=Strict\r\n", port, token);
		assert_int_equal(strstr(got, cookie) != NULL, i == 0);
	}
}

static void what_is_too_long_is_refused(void **state)
{
	char text[70000];
	const char *got;
	int fd = dial();

	memset(text, 'a', sizeof text);
	memcpy(text, "GET /", 5);
	(void)send(fd, text, sizeof text, MSG_NOSIGNAL);
	got = hear(fd);
	assert_true(got[0] == 0 || strncmp(got, "HTTP/1.1 4", 10) == 0);
	assert_non_null(strstr(ask("GET / HTTP/1.1\r\n%H%C" END), "the page"));
}

/* Seconds until the server ends a connection that says `text`, and then a byte now and then. */
static double lasts(const char *text, int drips)
{
	const double begin = ek_clock();
	const int fd = dial();
	char byte;

	say(fd, text, strlen(text));
	while (ek_clock() - begin < 10) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };

		if (poll(&ready, 1, 50) == 1 && recv(fd, &byte, 1, 0) <= 0)
			break;
		if (drips)
			(void)send(fd, "a", 1, MSG_NOSIGNAL);
	}
	(void)close(fd);
	return ek_clock() - begin;
}

static void a_slow_or_silent_client_is_let_go(void **state)
{
	char half[2048];

	expand(half, "POST /echo HTTP/1.1\r\n%H%O%C" JSON "Content-Length: 900\r\n\r\nhalf of it");
	/* Deadlines are looked at four times a second; the rest is for a busy machine. */
	assert_in_range((uint64_t)(1000 * lasts("", 0)), 400, 5000);
	assert_in_range((uint64_t)(1000 * lasts("GET / HTT", 0)), 400, 5000);
	assert_in_range((uint64_t)(1000 * lasts("GET / HTTP/1.1\r\nX: ", 1)), 400, 5000);
	assert_in_range((uint64_t)(1000 * lasts(half, 0)), 400, 5000);
	assert_in_range((uint64_t)(1000 * lasts(half, 1)), 400, 5000);
	assert_non_null(strstr(ask("GET / HTTP/1.1\r\n%H%C" END), "the page"));
}

/* All places are held by clients that ask and do not read: who comes then is served when they have been let go. */
static void who_does_not_read_is_let_go(void **state)
{
	const double begin = ek_clock();
	int fds[CONNECTIONS];
	char text[2048];

	expand(text, "GET /large HTTP/1.1\r\n%H%C" END);
	for (int i = 0; i < CONNECTIONS; i++) {
		fds[i] = dial();
		say(fds[i], text, strlen(text));
	}
	assert_non_null(strstr(ask("GET / HTTP/1.1\r\n%H%C" END), "the page"));
	assert_true(ek_clock() - begin > 1);
	for (int i = 0; i < CONNECTIONS; i++)
		(void)close(fds[i]);
}

/* Many times more connections at once than the server takes: the others wait. */
static void more_than_it_takes_are_all_served(void **state)
{
	enum { MANY = 300 };
	static int fds[MANY];
	char text[2048];
	int served = 0;

	expand(text, "GET /number/7 HTTP/1.1\r\n%H%C" END);
	for (int i = 0; i < MANY; i++) {
		fds[i] = dial();
		say(fds[i], text, strlen(text));
	}
	for (int i = 0; i < MANY; i++)
		served += strstr(hear(fds[i]), "\r\n\r\n7:0:") != NULL;
	assert_int_equal(served, MANY);
}

/* All places are held by silent clients: who comes then is served when they have been let go. */
static void silent_clients_hold_no_place_for_ever(void **state)
{
	int fds[CONNECTIONS + 5];

	for (int i = 0; i < CONNECTIONS + 5; i++)
		fds[i] = dial();
	assert_non_null(strstr(ask("GET / HTTP/1.1\r\n%H%C" END), "the page"));
	for (int i = 0; i < CONNECTIONS + 5; i++)
		(void)close(fds[i]);
}

static void a_connection_serves_one_request_after_the_other(void **state)
{
	char text[2048], answer[4096];
	const int fd = dial();

	expand(text, "GET /number/3 HTTP/1.1\r\n%H%C\r\n");
	for (int i = 0; i < 5; i++) {
		ssize_t size = 0;

		say(fd, text, strlen(text));
		do {
			const ssize_t got = recv(fd, answer + size, sizeof answer - 1 - (size_t)size, 0);

			assert_true(got > 0);
			size += got;
			answer[size] = 0;
		} while (strstr(answer, "\r\n\r\n3:0:") == NULL);
	}
	(void)close(fd);
}

static void a_port_that_is_taken_is_told(void **state)
{
	const struct ek_server_options options = { .port = ek_server_port(server), .routes = routes };
	struct ek_server *second;

	assert_fails(ek_server_open(&second, &options), EK_EUSAGE, "is taken by another program");
	assert_null(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_request_gets_its_answer),
		cmocka_unit_test(a_visit_gets_the_cookie_and_every_answer_its_guards),
		cmocka_unit_test(what_is_too_long_is_refused),
		cmocka_unit_test(a_slow_or_silent_client_is_let_go),
		cmocka_unit_test(who_does_not_read_is_let_go),
		cmocka_unit_test(more_than_it_takes_are_all_served),
		cmocka_unit_test(silent_clients_hold_no_place_for_ever),
		cmocka_unit_test(a_connection_serves_one_request_after_the_other),
		cmocka_unit_test(a_port_that_is_taken_is_told),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
