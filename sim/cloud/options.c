/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "util/alloc.h"
#include "util/hex.h"
#include "util/log.h"

enum option_code {
	OPT_LISTEN = 256,
	OPT_PORT_FILE,
	OPT_DEVICE,
	OPT_DEVICES,
	OPT_SECRET_RULE,
	OPT_DIALECT,
	OPT_DTLS,
	OPT_DTLS_CIPHER,
	OPT_PRODUCT,
	OPT_BARE_TOPICS,
	OPT_EMPTY_GET,
	OPT_SIGNATURE_IV,
	OPT_SIGNATURE_CIPHER,
	OPT_PAYLOAD_MAX,
	OPT_BLOCK_SIZE,
	OPT_DUPLICATE_WINDOW,
	OPT_COMMAND_TIMEOUT,
	OPT_COMMAND_RESENDS,
	OPT_COMMANDS,
	OPT_FAULT,
	OPT_SEED,
	OPT_LOSSY,
	OPT_TRANSCRIPT,
	OPT_CONTROL_SOCKET,
	OPT_CONTROL,
	OPT_STRICT,
	OPT_LOG_LEVEL,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option longs[] = {
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "port-file", required_argument, NULL, OPT_PORT_FILE },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "devices", required_argument, NULL, OPT_DEVICES },
	{ "secret-rule", required_argument, NULL, OPT_SECRET_RULE },
	{ "dialect", required_argument, NULL, OPT_DIALECT },
	{ "dtls", no_argument, NULL, OPT_DTLS },
	{ "dtls-cipher", required_argument, NULL, OPT_DTLS_CIPHER },
	{ "product", required_argument, NULL, OPT_PRODUCT },
	{ "bare-topics", no_argument, NULL, OPT_BARE_TOPICS },
	{ "empty-get", required_argument, NULL, OPT_EMPTY_GET },
	{ "signature-iv", required_argument, NULL, OPT_SIGNATURE_IV },
	{ "signature-cipher", required_argument, NULL, OPT_SIGNATURE_CIPHER },
	{ "payload-max", required_argument, NULL, OPT_PAYLOAD_MAX },
	{ "block-size", required_argument, NULL, OPT_BLOCK_SIZE },
	{ "duplicate-window", required_argument, NULL, OPT_DUPLICATE_WINDOW },
	{ "command-timeout", required_argument, NULL, OPT_COMMAND_TIMEOUT },
	{ "command-resends", required_argument, NULL, OPT_COMMAND_RESENDS },
	{ "commands", required_argument, NULL, OPT_COMMANDS },
	{ "fault", required_argument, NULL, OPT_FAULT },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "lossy", no_argument, NULL, OPT_LOSSY },
	{ "transcript", required_argument, NULL, OPT_TRANSCRIPT },
	{ "control-socket", required_argument, NULL, OPT_CONTROL_SOCKET },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "strict", no_argument, NULL, OPT_STRICT },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
	"Usage: enos-cloud-sim [OPTION]...            play the EnOS cloud over CoAP\n"
	"       enos-cloud-sim --control SOCKET COMMAND [ARGUMENT]...   ask one that runs\n"
	"\n"
	"  --listen ADDRESS:PORT    127.0.0.1:5683; port 0 takes a free one; [::1]:0 for IPv6\n"
	"  --port-file FILE         where the port is written, once it listens\n"
	"  --device PK,DK,SECRET    register a device; may be repeated\n"
	"  --devices FILE           register those of a JSON file\n"
	"  --secret-rule PK=PREFIX  every device of PK exists, with PREFIX and its key for a secret\n"
	"  --dialect DIALECT        signed or piggyback\n"
	"  --dtls                   DTLS 1.2 with pre-shared keys in place of plain CoAP\n"
	"  --dtls-cipher SUITES     both, ccm8, cbc, or foreign: none that EnOS has\n"
	"  --product PK=SECRET      the secret by which devices of PK are activated\n"
	"  --bare-topics            name waiting commands without the leading /topic\n"
	"  --empty-get CODE         2.05, 2.04 or 4.04 where no command waits\n"
	"  --signature-iv HEX       16 bytes, default all zero\n"
	"  --signature-cipher NAME  aes-128-cbc or aes-128-ecb\n"
	"  --payload-max BYTES      1024; what is longer is a violation\n"
	"  --block-size BYTES       of block-wise transfer, 1024; 16 at least\n"
	"  --duplicate-window N     points remembered to find repeated ones, 4000000\n"
	"  --command-timeout S      without a reply a command is given out again after this, 30\n"
	"  --command-resends N      how often, 3\n"
	"  --commands FILE          commands and other operations at given times, JSON\n"
	"  --fault NAME=VALUE       e.g. loss=0.1; may be repeated; see the man page\n"
	"  --seed N                 of all faults, 1\n"
	"  --lossy                  something between here and the clients loses datagrams\n"
	"  --transcript FILE        JSON lines; - is standard output; default none\n"
	"  --control-socket PATH    listen for --control\n"
	"  --strict                 exit status 1 where there were violations\n"
	"  --log-level LEVEL        error, warning, info or debug\n"
	"  --help, --version\n"
	"\n"
	"Commands: stats, violations, devices, command DEVICE TOPIC PARAMS|--hex HEX|--text TEXT,\n"
	"  result ID, wait ID, readings [DEVICE] [--follow [--all]], wait-reading DEVICE POINT [VALUE]\n"
	"  [--new], wait-stat NAME COUNT, fault [NAME=VALUE...] [--device DEVICE] [--clear],\n"
	"  forget [DEVICE], restart, quit.  Those that wait take --timeout S.\n";

static bool wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

static bool wrong(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fputs("enos-cloud-sim: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	return false;
}

static void keep(struct words *words, const char *word)
{
	words->all = must_realloc(words->all, (words->count + 1) * sizeof(*words->all));
	words->all[words->count++] = word;
}

static bool parse_number(const char *name, const char *text, int64_t most, int64_t *number)
{
	char *end;
	*number = strtoll(text, &end, 10);
	if (*end || end == text || *number < 0 || *number > most)
		return wrong(
			"--%s %s: a number from 0 to %lld is wanted", name, text, (long long)most);
	return true;
}

static bool parse_dialect(struct sim_settings *settings, const char *text)
{
	settings->piggyback = strcmp(text, "piggyback") == 0;
	if (!settings->piggyback && strcmp(text, "signed") != 0)
		return wrong("--dialect %s: signed or piggyback is wanted", text);
	return true;
}

static bool parse_ciphers(struct sim_settings *settings, const char *text)
{
	static const char *const names[] = { "both", "ccm8", "cbc", "foreign" };
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		settings->ciphers = (enum tunnel_ciphers)i;
		if (strcmp(text, names[i]) == 0)
			return true;
	}
	return wrong("--dtls-cipher %s: both, ccm8, cbc or foreign is wanted", text);
}

static bool parse_empty_get(struct sim_settings *settings, const char *text)
{
	if (strcmp(text, "2.05") == 0)
		settings->empty_get = CODE_CONTENT;
	else if (strcmp(text, "2.04") == 0)
		settings->empty_get = CODE_CHANGED;
	else if (strcmp(text, "4.04") == 0)
		settings->empty_get = CODE_NOT_FOUND;
	else
		return wrong("--empty-get %s: 2.05, 2.04 or 4.04 is wanted", text);
	return true;
}

static bool parse_iv(struct sim_settings *settings, const char *text)
{
	OWNED_BUFFER bytes = BUFFER_EMPTY;
	if (hex_parse(&bytes, text) < 0 || bytes.size != sizeof(settings->signature_iv))
		return wrong("--signature-iv: 32 hexadecimal digits are wanted");
	memcpy(settings->signature_iv, bytes.data, bytes.size);
	return true;
}

static bool parse_cipher(struct sim_settings *settings, const char *text)
{
	settings->ecb = strcmp(text, "aes-128-ecb") == 0;
	if (!settings->ecb && strcmp(text, "aes-128-cbc") != 0)
		return wrong("--signature-cipher %s: aes-128-cbc or aes-128-ecb is wanted", text);
	return true;
}

static bool parse_level(const char *text)
{
	int level = log_level_parse(text);
	if (level < 0)
		return wrong("--log-level %s: error, warning, info or debug is wanted", text);
	log_set_level((enum log_level)level);
	return true;
}

static bool take_number(struct options *options, int code, const char *text)
{
	struct sim_settings *settings = &options->settings;
	int64_t number = 0;
	switch (code) {
	case OPT_PAYLOAD_MAX:
		if (!parse_number("payload-max", text, DATAGRAM_MAX, &number))
			return false;
		settings->payload_max = (size_t)number;
		return true;
	case OPT_BLOCK_SIZE:
		if (!parse_number("block-size", text, 1024, &number))
			return false;
		settings->block_size = (size_t)number;
		return true;
	case OPT_DUPLICATE_WINDOW:
		if (!parse_number("duplicate-window", text, 1000000000, &number))
			return false;
		settings->duplicate_window = (size_t)number;
		return true;
	case OPT_COMMAND_TIMEOUT:
		if (!parse_number("command-timeout", text, 1000000, &number))
			return false;
		settings->command_timeout_us = number * USEC_PER_SEC;
		return true;
	case OPT_COMMAND_RESENDS:
		if (!parse_number("command-resends", text, 1000, &number))
			return false;
		settings->command_resends = (unsigned)number;
		return true;
	default:
		if (!parse_number("seed", text, INT64_MAX, &number))
			return false;
		settings->seed = (uint64_t)number;
		return true;
	}
}

/* Those that are kept as they are. */
static bool take_word(struct options *options, int code, const char *text)
{
	switch (code) {
	case OPT_PORT_FILE:
		options->port_file = text;
		return true;
	case OPT_DEVICE:
		keep(&options->devices, text);
		return true;
	case OPT_DEVICES:
		keep(&options->device_files, text);
		return true;
	case OPT_SECRET_RULE:
		keep(&options->rules, text);
		return true;
	case OPT_PRODUCT:
		keep(&options->products, text);
		return true;
	case OPT_FAULT:
		keep(&options->faults, text);
		return true;
	case OPT_COMMANDS:
		options->schedule = text;
		return true;
	case OPT_TRANSCRIPT:
		options->transcript = text;
		return true;
	case OPT_CONTROL_SOCKET:
		options->control_socket = text;
		return true;
	case OPT_CONTROL:
		options->control = text;
		return true;
	default:
		return take_number(options, code, text);
	}
}

static bool take(struct options *options, int code, const char *text)
{
	switch (code) {
	case OPT_LISTEN:
		if (address_parse(&options->settings.listen, text) < 0)
			return wrong(
				"--listen %s: an address and a port, as in 127.0.0.1:5683", text);
		return true;
	case OPT_DIALECT:
		return parse_dialect(&options->settings, text);
	case OPT_DTLS:
		options->settings.dtls = true;
		return true;
	case OPT_DTLS_CIPHER:
		return parse_ciphers(&options->settings, text);
	case OPT_BARE_TOPICS:
		options->settings.bare_topics = true;
		return true;
	case OPT_EMPTY_GET:
		return parse_empty_get(&options->settings, text);
	case OPT_SIGNATURE_IV:
		return parse_iv(&options->settings, text);
	case OPT_SIGNATURE_CIPHER:
		return parse_cipher(&options->settings, text);
	case OPT_LOSSY:
		options->settings.lossy = true;
		return true;
	case OPT_STRICT:
		options->strict = true;
		return true;
	case OPT_LOG_LEVEL:
		return parse_level(text);
	default:
		return take_word(options, code, text);
	}
}

int options_parse(struct options *options, int count, char **words)
{
	*options = (struct options){ .request_count = 0 };
	sim_settings_init(&options->settings);
	address_parse(&options->settings.listen, "127.0.0.1:5683");
	int code;
	/* Behind --control the words are the request's: the first that is no option ends ours. */
	while ((code = getopt_long(count, words, "+", longs, NULL)) != -1) {
		if (code == OPT_HELP) {
			fputs(usage, stdout);
			return EX_OK;
		}
		if (code == OPT_VERSION) {
			puts("enos-cloud-sim " PACKAGE_VERSION);
			return EX_OK;
		}
		if (code == '?' || !take(options, code, optarg))
			return EX_USAGE;
	}
	options->request_count = count - optind;
	options->request = words + optind;
	if (options->control && !options->request_count) {
		wrong("--control: ask what? --help names the commands");
		return EX_USAGE;
	}
	if (!options->control && options->request_count) {
		wrong("%s: not an option", options->request[0]);
		return EX_USAGE;
	}
	return -1;
}

void options_finish(struct options *options)
{
	free(options->devices.all);
	free(options->device_files.all);
	free(options->rules.all);
	free(options->products.all);
	free(options->faults.all);
}
