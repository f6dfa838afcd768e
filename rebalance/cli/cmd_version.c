#include <stdio.h>

#include "rebalance/base/error.h"
#include "rebalance/base/threads.h"
#include "rebalance/base/version.h"
#include "rebalance/cli/build.h"
#include "rebalance/cli/output.h"
#include "rebalance/cli/command.h"
#include "rebalance/base/text.h"
#include "train/nn/tensor.h"

/* Instruction sets that the libraries choose by, as this processor has them. */
static int add_instruction_sets(struct ek_buffer *text)
{
	const struct {
		const char *name;
		int has;
	} sets[] = {
#if defined(__x86_64__)
		{ "avx2", __builtin_cpu_supports("avx2") },
		{ "fma", __builtin_cpu_supports("fma") },
		{ "avx512f", __builtin_cpu_supports("avx512f") },
		{ "avx512_vnni", __builtin_cpu_supports("avx512vnni") },
#endif
		{ "bf16", ek_nn_cpu_has_bf16() },
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof sets / sizeof *sets && rc == 0; i++)
		if (sets[i].has)
			rc = ek_buffer_printf(text, "%s%s", text->size > 0 ? ", " : "", sets[i].name);
	return rc;
}

static int print_json(const char *sets)
{
	cJSON *json = cJSON_CreateObject();
	int rc = json != NULL ? 0 : ek_fail(EK_ENOMEM, "no memory for JSON");

	EK_TRY(rc);
	EK_TRY(ek_json_add_string(json, "version", EK_VERSION));
	EK_TRY(ek_json_add_string(json, "build", EK_BUILD_TYPE));
	EK_TRY(ek_json_add_string(json, "compiler", EK_BUILD_COMPILER));
	EK_TRY(ek_json_add_string(json, "sanitizers", EK_BUILD_SANITIZE));
	EK_TRY(ek_json_add_string(json, "libraries", EK_BUILD_LIBRARIES));
	EK_TRY(ek_json_add_string(json, "instruction_sets", sets));
	EK_TRY(ek_json_add_bool(json, "cuda", 0));
	EK_TRY(ek_json_add_bool(json, "mpi", 0));
	EK_TRY(ek_print_json(json));
out:
	cJSON_Delete(json);
	return rc;
}

int ek_cmd_version(struct ek_invocation *invocation)
{
	struct ek_buffer sets = { 0 };
	int rc;

	EK_TRY(ek_buffer_reserve(&sets, 1));
	EK_TRY(add_instruction_sets(&sets));
	if (invocation->settings.common.json) {
		EK_TRY(print_json(sets.data));
		goto out;
	}
	(void)printf("evenkeel %s (%s, %s%s%s)\n", EK_VERSION, EK_BUILD_TYPE, EK_BUILD_COMPILER,
	             EK_BUILD_SANITIZE[0] != 0 ? ", sanitizers " : "", EK_BUILD_SANITIZE);
	(void)printf("libraries: %s\n", EK_BUILD_LIBRARIES);
	(void)printf("processor: %s; %d threads\n", sets.data, ek_threads());
	(void)printf("off in this build: %s\n", EK_BUILD_OFF);
out:
	ek_buffer_release(&sets);
	return rc;
}
