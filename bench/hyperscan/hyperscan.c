/*
 * Hyperscan or Vectorscan on the patterns of `kestrel bench`: the physical limit to compare with.
 *
 *     cc -O2 -o kestrel-bench-hyperscan hyperscan.c $(pkg-config --cflags --libs libhs)
 *     kestrel-bench-hyperscan PATTERNS LINES
 *
 * Both files hold one regular expression or line of text per line. Every pattern is reported at most once per line of
 * text, as Kestrel does. Prints one JSON object: ns per line of text (best and median of the rounds), the bytes of the
 * database and scratch, and how many pattern-line pairs matched.
 */
#define _POSIX_C_SOURCE 200809L
#include <hs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS_MIN 5
#define ROUNDS_MAX 200
#define BUDGET_NS 1e9

struct text {
	char **line;
	size_t *bytes;
	size_t count;
};

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "kestrel-bench-hyperscan: %s: %s\n", what, why);
	exit(1);
}

static void *grow(void *p, size_t n)
{
	p = realloc(p, n);
	if (!p)
		fail("memory", "not enough");
	return p;
}

static struct text read_lines(const char *name)
{
	struct text t = { 0 };
	FILE *f = fopen(name, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	if (!f)
		fail(name, "cannot be opened");
	while ((n = getline(&line, &room, f)) >= 0) {
		if (n > 0 && line[n - 1] == '\n')
			line[--n] = 0;
		t.line = grow(t.line, (t.count + 1) * sizeof(*t.line));
		t.bytes = grow(t.bytes, (t.count + 1) * sizeof(*t.bytes));
		t.line[t.count] = grow(NULL, (size_t)n + 1);
		memcpy(t.line[t.count], line, (size_t)n + 1);
		t.bytes[t.count++] = (size_t)n;
	}
	free(line);
	fclose(f);
	if (!t.count)
		fail(name, "is empty");
	return t;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return 1e9 * (double)ts.tv_sec + (double)ts.tv_nsec;
}

static int on_match(unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *ctx)
{
	(void)id, (void)from, (void)to, (void)flags;
	++*(unsigned long *)ctx;
	return 0;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static hs_database_t *compile(const struct text *patterns)
{
	unsigned int *flags = grow(NULL, patterns->count * sizeof(*flags));
	unsigned int *ids = grow(NULL, patterns->count * sizeof(*ids));
	hs_database_t *db = NULL;
	hs_compile_error_t *err = NULL;

	for (size_t i = 0; i < patterns->count; i++) {
		flags[i] = HS_FLAG_SINGLEMATCH | HS_FLAG_DOTALL;
		ids[i] = (unsigned int)i;
	}
	if (hs_compile_multi((const char *const *)patterns->line, flags, ids, (unsigned int)patterns->count, HS_MODE_BLOCK,
			     NULL, &db, &err) != HS_SUCCESS)
		fail("compile", err ? err->message : "failed");
	free(flags);
	free(ids);
	return db;
}

int main(int argc, char **argv)
{
	struct text patterns, lines;
	hs_database_t *db;
	hs_scratch_t *scratch = NULL;
	size_t db_bytes = 0, scratch_bytes = 0;
	double took[ROUNDS_MAX], begin;
	unsigned long matches = 0;
	int rounds = 0;

	if (argc != 3)
		fail("usage", "kestrel-bench-hyperscan PATTERNS LINES");
	patterns = read_lines(argv[1]);
	lines = read_lines(argv[2]);
	db = compile(&patterns);
	if (hs_alloc_scratch(db, &scratch) != HS_SUCCESS)
		fail("scratch", "cannot be allocated");
	hs_database_size(db, &db_bytes);
	hs_scratch_size(scratch, &scratch_bytes);
	begin = now();
	/* Round -1 is the warm-up. */
	for (rounds = -1; rounds < ROUNDS_MIN || (rounds < ROUNDS_MAX && now() - begin < BUDGET_NS); rounds++) {
		double t0 = now();

		matches = 0;
		for (size_t i = 0; i < lines.count; i++)
			if (hs_scan(db, lines.line[i], (unsigned int)lines.bytes[i], 0, scratch, on_match, &matches) != HS_SUCCESS)
				fail("scan", "failed");
		if (rounds >= 0)
			took[rounds] = (now() - t0) / (double)lines.count;
	}
	qsort(took, (size_t)rounds, sizeof(took[0]), by_value);
	printf("{\"version\":\"%s\",\"best_ns\":%.1f,\"median_ns\":%.1f,\"rounds\":%d,\"database_bytes\":%zu,"
	       "\"scratch_bytes\":%zu,\"matches\":%lu}\n",
	       hs_version(), took[0], took[rounds / 2], rounds, db_bytes, scratch_bytes, matches);
	return 0;
}
