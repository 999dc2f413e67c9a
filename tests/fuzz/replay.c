/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over files and over the files in directories, in place of a fuzzer. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	struct stat info;
	FILE *file = fopen(path, "rb");
	if (!file || fstat(fileno(file), &info) < 0) {
		perror(path);
		return -1;
	}
	/* Of exactly its size, so that a sanitizer sees a read past the end. */
	uint8_t *data OWNED = must_alloc((size_t)info.st_size);
	size_t size = fread(data, 1, (size_t)info.st_size, file);
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	return 1;
}

/* How many files were run, or -1. */
static int replay(const char *path)
{
	struct dirent **entries;
	struct stat info;
	if (stat(path, &info) == 0 && !S_ISDIR(info.st_mode))
		return replay_file(path);
	int count = scandir(path, &entries, NULL, alphasort), ran = 0;
	if (count < 0) {
		perror(path);
		return -1;
	}
	for (int i = 0; i < count; i++) {
		char *name OWNED = must_printf("%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && ran >= 0)
			ran = replay_file(name) < 0 ? -1 : ran + 1;
		free(entries[i]);
	}
	free(entries);
	return ran;
}

static int replay_all(const char *path)
{
	int ran = replay(path);
	if (ran > 0)
		printf("%s: %d inputs\n", path, ran);
	else
		fprintf(stderr, "%s: nothing to run\n", path);
	return ran > 0 ? 0 : 1;
}

/* Without arguments "fuzz-json" runs what is in tests/fuzz/corpus/json of the source. */
int main(int count, char **paths)
{
	int result = 0;
	for (int i = 1; i < count && result == 0; i++)
		result = replay_all(paths[i]);
	if (count > 1)
		return result;
	const char *source = getenv("srcdir");
	const char *noun = strstr(program_invocation_short_name, "fuzz-");
	if (!noun) {
		fprintf(stderr, "usage: %s FILE-OR-DIRECTORY...\n", program_invocation_short_name);
		return 1;
	}
	char *corpus OWNED = must_printf(
		"%s/tests/fuzz/corpus/%s", source ? source : ".", noun + strlen("fuzz-"));
	return replay_all(corpus);
}
