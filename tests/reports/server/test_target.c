#include "tests/support/support.h"

#include "reports/server/target.h"

#define TOKEN "0123456789abcdef0123456789abcdef"

static const struct {
	const char *text;
	int status;
	const char *path, *token; /* of those that parse */
} targets[] = {
	{ "/", 0, "/", "" },
	{ "/review.css", 0, "/review.css", "" },
	{ "/real/17", 0, "/real/17", "" },
	{ "/?token=" TOKEN, 0, "/", TOKEN },
	{ "/real/17?token=" TOKEN, 0, "/real/17", TOKEN },
	/* A token that cannot be right is none. */
	{ "/?token=", 0, "/", "" },
	{ "/?token=short", 0, "/", "" },
	{ "/?token=" TOKEN "0", 0, "/", "" },
	{ "/?token=" TOKEN "&x=1", 0, "/", "" },
	{ "", 400, NULL, NULL },
	{ "*", 400, NULL, NULL },
	{ "real/17", 400, NULL, NULL },
	{ "http://127.0.0.1/", 400, NULL, NULL },
	{ "/..", 400, NULL, NULL },
	{ "/real/../17", 400, NULL, NULL },
	{ "/real/..", 400, NULL, NULL },
	{ "//real", 400, NULL, NULL },
	{ "/real//17", 400, NULL, NULL },
	{ "/%2e%2e", 400, NULL, NULL },
	{ "/real%2f17", 400, NULL, NULL },
	{ "/real%2F17", 400, NULL, NULL },
	{ "/real%00", 400, NULL, NULL },
	{ "/real\\17", 400, NULL, NULL },
	{ "/Real", 400, NULL, NULL },
	{ "/real 17", 400, NULL, NULL },
	{ "/r\xc3\xa9"
	  "al",
	  400, NULL, NULL },
	{ "/#x", 400, NULL, NULL },
	{ "/?", 400, NULL, NULL },
	{ "/?x=1", 400, NULL, NULL },
	{ "/?Token=" TOKEN, 400, NULL, NULL },
};

static void a_target_is_taken_apart_or_refused(void **state)
{
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		struct ek_target target;

		print_message("\"%s\"\n", targets[i].text);
		assert_int_equal(ek_target_parse(&target, targets[i].text), targets[i].status);
		if (targets[i].status != 0)
			continue;
		assert_string_equal(target.path, targets[i].path);
		assert_string_equal(target.token, targets[i].token);
	}
}

static void a_path_ends_at_its_limit(void **state)
{
	char text[EK_TARGET_PATH + 64];
	struct ek_target target;

	memset(text, 'a', sizeof text);
	text[0] = '/';
	text[EK_TARGET_PATH - 1] = 0;
	assert_int_equal(ek_target_parse(&target, text), 0);
	assert_string_equal(target.path, text);
	text[EK_TARGET_PATH - 1] = 'a';
	text[EK_TARGET_PATH] = 0;
	assert_int_equal(ek_target_parse(&target, text), 414);
}

static int answer(void *context, const struct ek_server_request *request, struct ek_server_reply *reply)
{
	return 0;
}

static const struct ek_server_route routes[] = {
	{ "GET", "/", answer, NULL },        { "GET", "/real/#", answer, NULL }, { "GET", "/a/#/b", answer, NULL },
	{ "POST", "/decide", answer, NULL }, { "GET", "/decide", answer, NULL }, { "GET", "/c/#/@", answer, NULL },
	{ "GET", "/d/@", answer, NULL },     { NULL, NULL, NULL, NULL },
};

#define HASH TOKEN TOKEN

static const struct {
	const char *method, *path;
	int status, route;
	uint64_t number;
} paths[] = {
	{ "GET", "/", 0, 0, 0 },
	{ "GET", "/real/0", 0, 1, 0 },
	{ "GET", "/real/17", 0, 1, 17 },
	{ "GET", "/real/999999999999999", 0, 1, 999999999999999 },
	{ "GET", "/a/5/b", 0, 2, 5 },
	{ "POST", "/decide", 0, 3, 0 },
	{ "GET", "/decide", 0, 4, 0 },
	{ "PUT", "/decide", 405, 0, 0 },
	{ "POST", "/", 405, 0, 0 },
	{ "HEAD", "/real/1", 405, 0, 0 },
	{ "GET", "/real/", 404, 0, 0 },
	{ "GET", "/real", 404, 0, 0 },
	{ "GET", "/real/017", 404, 0, 0 },
	{ "GET", "/real/00", 404, 0, 0 },
	{ "GET", "/real/-1", 404, 0, 0 },
	{ "GET", "/real/1.png", 404, 0, 0 },
	{ "GET", "/real/1/", 404, 0, 0 },
	{ "GET", "/real/1000000000000000", 404, 0, 0 },
	{ "GET", "/a/5", 404, 0, 0 },
	{ "GET", "/a/b/5", 404, 0, 0 },
	{ "GET", "/nothing", 404, 0, 0 },
	{ "GET", "/c/7/" HASH, 0, 5, 7 },
	{ "GET", "/d/" HASH, 0, 6, 0 },
	{ "GET", "/c/7", 404, 0, 0 },
	{ "GET", "/c/7/" TOKEN, 404, 0, 0 },
	{ "GET", "/c/7/" HASH "0", 404, 0, 0 },
	{ "GET", "/c/7/" HASH "/", 404, 0, 0 },
	{ "GET", "/c/7/x" HASH, 404, 0, 0 },
	{ "GET",
	  "/c/7/g123456789abcdef"
	  "0123456789abcdef" TOKEN,
	  404, 0, 0 },
};

static void a_path_finds_its_route(void **state)
{
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		const struct ek_server_route *route;
		const char *hash;
		uint64_t number;

		print_message("%s %s\n", paths[i].method, paths[i].path);
		assert_int_equal(ek_target_route(&route, &number, &hash, routes, paths[i].method, paths[i].path),
		                 paths[i].status);
		if (paths[i].status != 0)
			continue;
		assert_ptr_equal(route, &routes[paths[i].route]);
		assert_int_equal(number, paths[i].number);
		assert_string_equal(hash, strchr(routes[paths[i].route].path, '@') != NULL ? HASH : "");
	}
}

static void only_the_same_token_is_equal(void **state)
{
	char other[] = TOKEN;

	assert_int_equal(ek_token_equal(TOKEN, other), 1);
	for (size_t i = 0; i < strlen(TOKEN); i++) {
		other[i] ^= 1;
		assert_int_equal(ek_token_equal(TOKEN, other), 0);
		other[i] ^= 1;
	}
	assert_int_equal(ek_token_equal(TOKEN, ""), 0);
	assert_int_equal(ek_token_equal(TOKEN, TOKEN "0"), 0);
	assert_int_equal(ek_token_equal("", ""), 0);
}

EK_TEST_MAIN(cmocka_unit_test(a_target_is_taken_apart_or_refused), cmocka_unit_test(a_path_ends_at_its_limit),
             cmocka_unit_test(a_path_finds_its_route), cmocka_unit_test(only_the_same_token_is_equal))
