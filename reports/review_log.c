#include "reports/review_log.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rebalance/base/error.h"
#include "rebalance/base/file.h"
#include "rebalance/base/json.h"
#include "rebalance/base/log.h"
#include "rebalance/base/utf8.h"

static const char *const verdict_names[EK_VERDICTS] = { "accept", "reject", "unsure" };
static const char *const outcome_names[EK_REVIEW_OUTCOMES] = { "open", "accepted", "rejected", "disputed", "unsure" };

struct ek_review_vote {
	uint32_t reviewer;
	uint32_t next;   /* 1 + the next vote on the same sample; 0: none */
	size_t standing; /* 1 + an entry; 0: none */
};

const char *ek_verdict_name(enum ek_verdict verdict)
{
	return verdict_names[verdict];
}

enum ek_verdict ek_verdict_of(const char *name)
{
	int v = 0;

	while (v < EK_VERDICTS && strcmp(verdict_names[v], name) != 0)
		v++;
	return (enum ek_verdict)v;
}

const char *ek_review_outcome_name(enum ek_review_outcome outcome)
{
	return outcome_names[outcome];
}

int ek_review_log_reviewer(uint32_t *index, struct ek_review_log *log, const char *name)
{
	int rc;

	EK_TRY(ek_journal_check_name(name, EK_REVIEW_NAME_MAX, "a reviewer"));
	for (*index = 0; *index < log->reviewer_count; ++*index)
		if (strcmp(log->reviewers[*index], name) == 0)
			return 0;
	if (log->reviewer_count == EK_REVIEW_REVIEWERS_MAX)
		return ek_fail(EK_EUSAGE, "no more than %d reviewers", EK_REVIEW_REVIEWERS_MAX);
	EK_TRY(ek_resize(&log->reviewers, log->reviewer_count + 1, sizeof *log->reviewers));
	EK_TRY(ek_copy_string(&log->reviewers[*index], name));
	log->reviewer_count++;
out:
	return rc;
}

/* Room for one more at the end of an array that doubles: its capacity is the power of two from `count` up. */
static int make_room(void *pointer, size_t count, size_t size)
{
	return (count & (count - 1)) == 0 ? ek_resize(pointer, count == 0 ? 1 : 2 * count, size) : 0;
}

static struct ek_review_vote *find_vote(const struct ek_review_log *log, uint64_t sample, uint32_t reviewer)
{
	uint32_t at = sample < log->head_count ? log->heads[sample] : 0;

	while (at > 0 && log->votes[at - 1].reviewer != reviewer)
		at = log->votes[at - 1].next;
	return at > 0 ? &log->votes[at - 1] : NULL;
}

static int grow_heads(struct ek_review_log *log, uint32_t sample)
{
	size_t count = log->head_count == 0 ? 64 : log->head_count;
	int rc;

	if (sample < log->head_count)
		return 0;
	while (count <= sample)
		count *= 2;
	EK_TRY(ek_resize(&log->heads, count, sizeof *log->heads));
	memset(log->heads + log->head_count, 0, (count - log->head_count) * sizeof *log->heads);
	log->head_count = count;
out:
	return rc;
}

static int get_vote(struct ek_review_vote **vote, struct ek_review_log *log, uint32_t sample, uint32_t reviewer)
{
	int rc;

	EK_TRY(grow_heads(log, sample));
	if ((*vote = find_vote(log, sample, reviewer)) != NULL)
		return 0;
	EK_TRY(make_room(&log->votes, log->vote_count, sizeof *log->votes));
	*vote = &log->votes[log->vote_count];
	**vote = (struct ek_review_vote){ .reviewer = reviewer, .next = log->heads[sample] };
	log->heads[sample] = (uint32_t)++log->vote_count;
out:
	return rc;
}

static const char *text_of(const char *text)
{
	return text != NULL ? text : "";
}

static void release_texts(struct ek_review_entry *entry)
{
	free(entry->note);
	free(entry->given);
	free(entry->label);
}

int ek_review_log_add(struct ek_review_log *log, const struct ek_review_entry *entry)
{
	struct ek_review_entry added = *entry;
	struct ek_review_vote *vote;
	int rc;

	added.note = added.given = added.label = NULL;
	if (entry->sample >= EK_REVIEW_SAMPLES_MAX || entry->reviewer >= log->reviewer_count ||
	    (unsigned)entry->verdict >= EK_VERDICTS)
		return ek_fail(EK_EUSAGE, "no such sample, reviewer or decision");
	EK_TRY(get_vote(&vote, log, entry->sample, entry->reviewer));
	EK_TRY(make_room(&log->entries, log->entry_count, sizeof *log->entries));
	EK_TRY(ek_copy_string(&added.note, text_of(entry->note)));
	EK_TRY(ek_copy_string(&added.given, text_of(entry->given)));
	EK_TRY(ek_copy_string(&added.label, text_of(entry->label)));
	added.undone = 0;
	added.before = vote->standing;
	log->entries[log->entry_count] = added;
	vote->standing = ++log->entry_count;
	if (log->samples <= entry->sample)
		log->samples = (uint64_t)entry->sample + 1;
	return 0;
out:
	release_texts(&added);
	return rc;
}

int ek_review_log_undo(struct ek_review_log *log, uint32_t sample, uint32_t reviewer)
{
	struct ek_review_vote *vote = find_vote(log, sample, reviewer);
	struct ek_review_entry *undone;

	if (vote == NULL || vote->standing == 0)
		return ek_fail(EK_EUSAGE, "there is no decision on sample %" PRIu32 " to take back", sample);
	undone = &log->entries[vote->standing - 1];
	undone->undone = 1;
	vote->standing = undone->before;
	return 0;
}

void ek_review_log_void(struct ek_review_log *log, const struct ek_review_entry *entry)
{
	struct ek_review_vote *vote = find_vote(log, entry->sample, entry->reviewer);

	assert(vote != NULL);
	for (size_t at = vote->standing; at > 0; at = log->entries[at - 1].before)
		log->entries[at - 1].undone = 1;
	vote->standing = 0;
}

const struct ek_review_entry *ek_review_log_standing(const struct ek_review_log *log, uint64_t sample,
                                                     uint32_t reviewer)
{
	const struct ek_review_vote *vote = find_vote(log, sample, reviewer);

	return vote != NULL && vote->standing > 0 ? &log->entries[vote->standing - 1] : NULL;
}

const struct ek_review_entry *ek_review_log_newest(const struct ek_review_log *log, uint32_t reviewer)
{
	for (size_t i = log->entry_count; i > 0; i--)
		if (log->entries[i - 1].reviewer == reviewer && !log->entries[i - 1].undone)
			return &log->entries[i - 1];
	return NULL;
}

void ek_review_log_votes(uint32_t votes[EK_VERDICTS], const struct ek_review_log *log, uint64_t sample)
{
	uint32_t at = sample < log->head_count ? log->heads[sample] : 0;

	memset(votes, 0, EK_VERDICTS * sizeof *votes);
	for (; at > 0; at = log->votes[at - 1].next)
		if (log->votes[at - 1].standing > 0)
			votes[log->entries[log->votes[at - 1].standing - 1].verdict]++;
}

enum ek_review_outcome ek_review_log_outcome(const struct ek_review_log *log, uint64_t sample)
{
	uint32_t v[EK_VERDICTS];

	ek_review_log_votes(v, log, sample);
	if (v[EK_VERDICT_REJECT] > 0)
		return v[EK_VERDICT_ACCEPT] > 0 ? EK_REVIEW_DISPUTED : EK_REVIEW_REJECTED;
	if (v[EK_VERDICT_ACCEPT] > v[EK_VERDICT_UNSURE])
		return EK_REVIEW_ACCEPTED;
	return v[EK_VERDICT_ACCEPT] + v[EK_VERDICT_UNSURE] > 0 ? EK_REVIEW_UNSURE : EK_REVIEW_OPEN;
}

void ek_review_log_outcomes(uint64_t counts[EK_REVIEW_OUTCOMES], const struct ek_review_log *log, uint64_t samples)
{
	memset(counts, 0, EK_REVIEW_OUTCOMES * sizeof *counts);
	for (uint64_t i = 0; i < samples; i++)
		counts[ek_review_log_outcome(log, i)]++;
}

void ek_review_log_tally(uint64_t counts[EK_VERDICTS], const struct ek_review_log *log, uint32_t reviewer)
{
	memset(counts, 0, EK_VERDICTS * sizeof *counts);
	for (size_t i = 0; i < log->vote_count; i++)
		if (log->votes[i].reviewer == reviewer && log->votes[i].standing > 0)
			counts[log->entries[log->votes[i].standing - 1].verdict]++;
}

void ek_review_log_agreement(struct ek_review_agreement *out, const struct ek_review_log *log, uint32_t first,
                             uint32_t second)
{
	double same = 0, chance = 0;

	memset(out, 0, sizeof *out);
	for (uint64_t i = 0; i < log->samples; i++) {
		const struct ek_review_entry *a = ek_review_log_standing(log, i, first);
		const struct ek_review_entry *b = ek_review_log_standing(log, i, second);

		if (a == NULL || b == NULL)
			continue;
		out->both++;
		out->table[a->verdict][b->verdict]++;
	}
	for (int v = 0; v < EK_VERDICTS; v++) {
		double row = 0, column = 0;

		for (int w = 0; w < EK_VERDICTS; w++) {
			row += (double)out->table[v][w];
			column += (double)out->table[w][v];
		}
		same += (double)out->table[v][v];
		chance += row * column;
	}
	out->observed = out->both > 0 ? same / (double)out->both : NAN;
	chance /= (double)out->both * (double)out->both;
	out->kappa = out->both > 0 && chance < 1 ? (out->observed - chance) / (1 - chance) : NAN;
}

int ek_review_log_format(struct ek_buffer *out, const struct ek_review_log *log, const struct ek_review_entry *entry)
{
	int rc;

	EK_TRY(ek_buffer_printf(out, "{\"sample\": %" PRIu32 ", \"decision\": \"%s\"", entry->sample,
	                        ek_verdict_name(entry->verdict)));
	EK_TRY(ek_journal_member(out, "note", entry->note));
	EK_TRY(ek_journal_member(out, "reviewer", log->reviewers[entry->reviewer]));
	EK_TRY(ek_journal_member(out, "time", entry->time));
	if (entry->sha256[0] != 0)
		EK_TRY(ek_journal_member(out, "sha256", entry->sha256));
	if (text_of(entry->given)[0] != 0)
		EK_TRY(ek_journal_member(out, "given", entry->given));
	if (text_of(entry->label)[0] != 0)
		EK_TRY(ek_journal_member(out, "label", entry->label));
	EK_TRY(ek_buffer_text(out, "}\n"));
out:
	return rc;
}

int ek_review_log_format_undo(struct ek_buffer *out, const struct ek_review_log *log,
                              const struct ek_review_entry *entry)
{
	int rc;

	EK_TRY(ek_buffer_printf(out, "{\"sample\": %" PRIu32 ", \"undo\": true", entry->sample));
	EK_TRY(ek_journal_member(out, "reviewer", log->reviewers[entry->reviewer]));
	EK_TRY(ek_journal_member(out, "time", entry->time));
	EK_TRY(ek_buffer_text(out, "}\n"));
out:
	return rc;
}

static int read_optional(const char **out, const cJSON *object, const char *name, const char *where)
{
	*out = "";
	return cJSON_HasObjectItem(object, name) ? ek_json_get_string(out, object, name, where) : 0;
}

static int read_decision(struct ek_review_entry *entry, const cJSON *object, const char *where)
{
	const char *decision, *note, *sha256, *given, *label;
	int rc;

	EK_TRY(ek_json_get_string(&decision, object, "decision", where));
	if ((entry->verdict = ek_verdict_of(decision)) == EK_VERDICTS)
		return ek_fail(EK_EDATA, "%s: decision is \"%.40s\", not accept, reject or unsure", where, decision);
	EK_TRY(read_optional(&note, object, "note", where));
	EK_TRY(read_optional(&sha256, object, "sha256", where));
	if (sha256[0] != 0 && (strlen(sha256) != 64 || strspn(sha256, "0123456789abcdef") != 64))
		return ek_fail(EK_EDATA, "%s: sha256 is \"%.70s\", not 64 hex digits", where, sha256);
	memcpy(entry->sha256, sha256, strlen(sha256) + 1);
	EK_TRY(read_optional(&given, object, "given", where));
	EK_TRY(read_optional(&label, object, "label", where));
	entry->note = (char *)(uintptr_t)note; /* these are copied */
	entry->given = (char *)(uintptr_t)given;
	entry->label = (char *)(uintptr_t)label;
out:
	return rc;
}

static int take_object(void *context, const cJSON *object, const char *where)
{
	struct ek_review_log *log = context;
	struct ek_review_entry entry = { 0 };
	const char *reviewer, *time;
	uint64_t sample;
	int rc;

	EK_TRY(ek_json_get_u64(&sample, object, "sample", where));
	if (sample >= EK_REVIEW_SAMPLES_MAX)
		return ek_fail(EK_EDATA, "%s: sample %" PRIu64 " is not below %d", where, sample,
		               EK_REVIEW_SAMPLES_MAX);
	EK_TRY(ek_json_get_string(&reviewer, object, "reviewer", where));
	EK_TRY(ek_json_get_string(&time, object, "time", where));
	EK_TRY(ek_journal_check_time(time, where));
	entry.sample = (uint32_t)sample;
	memcpy(entry.time, time, sizeof entry.time);
	if (cJSON_IsTrue(ek_json_member(object, "undo"))) {
		EK_TRY(ek_review_log_reviewer(&entry.reviewer, log, reviewer));
		EK_TRY(ek_review_log_undo(log, entry.sample, entry.reviewer));
	} else {
		EK_TRY(read_decision(&entry, object, where));
		EK_TRY(ek_review_log_reviewer(&entry.reviewer, log, reviewer));
		EK_TRY(ek_review_log_add(log, &entry));
	}
out:
	return rc;
}

int ek_review_log_parse(struct ek_review_log *log, const char *text, size_t size, const char *where)
{
	return ek_journal_parse(&log->lines, text, size, where, take_object, log);
}

int ek_review_log_load(struct ek_review_log *log, const char *path)
{
	return ek_journal_load(&log->lines, path, take_object, log);
}

void ek_review_log_release(struct ek_review_log *log)
{
	for (size_t i = 0; i < log->reviewer_count; i++)
		free(log->reviewers[i]);
	for (size_t i = 0; i < log->entry_count; i++)
		release_texts(&log->entries[i]);
	free(log->reviewers);
	free(log->entries);
	free(log->heads);
	free(log->votes);
	*log = (struct ek_review_log){ 0 };
}
