#include "rebalance/pipeline/machine.h"

#include "rebalance/base/error.h"

int ek_machine_instruction_sets(struct ek_buffer *text)
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
	int rc = ek_buffer_reserve(text, 1);

	for (size_t i = 0; i < sizeof sets / sizeof *sets && rc == 0; i++)
		if (sets[i].has)
			rc = ek_buffer_printf(text, "%s%s", text->size > 0 ? ", " : "", sets[i].name);
	return rc;
}

/* "gpus": [{…}], "cuda_libraries": [{…}]; why there are none: "gpus_missing". */
static int add_gpus(cJSON *json)
{
	struct ek_cuda_library library;
	struct ek_cuda_gpu gpu;
	cJSON *list, *item;
	int count = ek_cuda_count(), rc;

	if (count < 0)
		EK_TRY(ek_json_add_string(json, "gpus_missing", ek_error_message()));
	EK_TRY(ek_json_add_array(&list, json, "gpus"));
	for (int i = 0; i < count; i++) {
		EK_TRY(ek_cuda_gpu(&gpu, i));
		EK_TRY(ek_json_add_object(&item, list, NULL));
		EK_TRY(ek_json_add_string(item, "name", gpu.name));
		EK_TRY(ek_json_add_double(item, "compute_capability", gpu.major + gpu.minor / 10.0));
		EK_TRY(ek_json_add_u64(item, "bytes", gpu.bytes));
		EK_TRY(ek_json_add_u64(item, "free", gpu.free));
	}
	EK_TRY(ek_json_add_array(&list, json, "cuda_libraries"));
	if (count > 0 && ek_cuda_library(&library) == 0) {
		EK_TRY(ek_json_add_object(&item, list, NULL));
		EK_TRY(ek_json_add_string(item, "name", library.name));
		EK_TRY(ek_json_add_string(item, "version", library.version));
		EK_TRY(ek_json_add_string(item, "file", library.path));
	}
out:
	return rc;
}

int ek_machine_add(cJSON *json)
{
	struct ek_buffer sets = { 0 };
	char built[16], driver[16];
	int rc;

	EK_TRY(ek_machine_instruction_sets(&sets));
	EK_TRY(ek_json_add_string(json, "instruction_sets", sets.data));
	EK_TRY(ek_json_add_bool(json, "cuda", ek_cuda_versions(built, driver) == 0));
	EK_TRY(add_gpus(json));
out:
	ek_buffer_release(&sets);
	return rc;
}
