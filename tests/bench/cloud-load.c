/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load for enos-cloud-sim: many devices of one secret rule, each on a socket of its own with one
 * signed request in flight, as in the signed dialect.  Prints requests a second, and what they cost
 * the server in CPU time where its process id is given.  Measures, proves nothing: run it by hand.
 *
 *	enos-cloud-sim --listen 127.0.0.1:5683 --secret-rule pk1=secret- &
 *	cloud-load 127.0.0.1 5683 CLIENTS SECONDS [PID-OF-SERVER]
 */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LIFETIME "300"

struct client {
	int fd;
	char name[24], token[64];
	uint8_t key[16];
	unsigned n;
	uint16_t message_id;
	double sent;
	uint8_t request[1500];
	size_t size;
};

static uint64_t answered, refused, resent;

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The CPU seconds of a process so far, user and system; 0 where there is none. */
static double cpu_of(const char *pid)
{
	char path[64];
	unsigned long user = 0, kernel = 0;
	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	FILE *file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
		    &kernel) != 2)
		user = kernel = 0;
	fclose(file);
	return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static void print_hex(char *text, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sprintf(text + 2 * i, "%02X", bytes[i]);
}

static void sign(struct client *client, char *hex)
{
	char text[128];
	static const uint8_t iv[16];
	uint8_t out[160];
	int size, rest;
	int length = snprintf(text, sizeof(text), "token%ssequence%u", client->token, client->n);
	static EVP_CIPHER_CTX *context;
	if (!context)
		context = EVP_CIPHER_CTX_new();
	EVP_EncryptInit_ex(context, EVP_aes_128_cbc(), NULL, client->key, iv);
	EVP_EncryptUpdate(context, out, &size, (uint8_t *)text, length);
	EVP_EncryptFinal_ex(context, out + size, &rest);
	print_hex(hex, out, (size_t)(size + rest));
}

static uint8_t *put_option(uint8_t *at, unsigned *last, unsigned number, const char *text)
{
	size_t size = strlen(text);
	unsigned delta = number - *last;
	uint8_t *head = at++;
	*last = number;
	unsigned high = delta;
	if (delta >= 269) {
		high = 14;
		*at++ = (uint8_t)((delta - 269) >> 8);
		*at++ = (uint8_t)(delta - 269);
	}
	unsigned low = size < 13 ? (unsigned)size : 13;
	if (low == 13)
		*at++ = (uint8_t)(size - 13);
	*head = (uint8_t)(high << 4 | low);
	memcpy(at, text, size);
	return at + size;
}

/* A POST to the path, "/" between its segments. */
static void request(
	struct client *client, const char *path, const char *signature, const char *body)
{
	uint8_t *at = client->request;
	unsigned last = 0;
	char segments[200], *rest, *segment;
	client->message_id++;
	*at++ = 0x44;
	*at++ = 2;
	*at++ = (uint8_t)(client->message_id >> 8);
	*at++ = (uint8_t)client->message_id;
	uint32_t token = (uint32_t)random();
	memcpy(at, &token, 4);
	at += 4;
	snprintf(segments, sizeof(segments), "%s", path);
	for (segment = strtok_r(segments, "/", &rest); segment;
		segment = strtok_r(NULL, "/", &rest))
		at = put_option(at, &last, 11, segment);
	if (signature)
		at = put_option(at, &last, 2101, signature);
	*at++ = 0xff;
	memcpy(at, body, strlen(body));
	client->size = (size_t)(at - client->request) + strlen(body);
	client->sent = now();
	if (send(client->fd, client->request, client->size, 0) < 0)
		perror("send");
}

static void authenticate(struct client *client)
{
	char text[200], secret[40], hex[65], path[100], body[200];
	uint8_t digest[32];
	snprintf(secret, sizeof(secret), "secret-%s", client->name);
	EVP_Digest(secret, strlen(secret), digest, NULL, EVP_sha256(), NULL);
	memcpy(client->key, digest + 8, 16);
	snprintf(text, sizeof(text), "deviceKey%slifetime" LIFETIME "productKeypk1secureMode2%s",
		client->name, secret);
	EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL);
	print_hex(hex, digest, 32);
	snprintf(path, sizeof(path), "auth/pk1/%s", client->name);
	snprintf(body, sizeof(body), "{\"secureMode\":2,\"lifetime\":" LIFETIME ",\"sign\":\"%s\"}",
		hex);
	client->n = 0;
	request(client, path, NULL, body);
}

static void report(struct client *client)
{
	char hex[320], path[100], body[600];
	struct timespec time;
	clock_gettime(CLOCK_REALTIME, &time);
	client->n++;
	sign(client, hex);
	snprintf(path, sizeof(path), "topic/sys/pk1/%s/thing/measurepoint/post", client->name);
	int size = snprintf(body, sizeof(body),
		"{\"id\":\"%u\",\"version\":\"1.0\",\"method\":\"thing.measurepoint.post\",\"params\":{\"measurepoints\":{",
		client->n);
	for (int i = 0; i < 10; i++)
		size += snprintf(body + size, sizeof(body) - (size_t)size, "%s\"point%d\":%d.%d",
			i ? "," : "", i, (int)client->n % 400, i);
	snprintf(body + size, sizeof(body) - (size_t)size, "},\"time\":%lld}}",
		(long long)time.tv_sec * 1000 + time.tv_nsec / 1000000);
	request(client, path, hex, body);
}

static void answer(struct client *client)
{
	char bytes[2000];
	ssize_t size = recv(client->fd, bytes, sizeof(bytes) - 1, 0);
	if (size < 8 || ((uint8_t)bytes[2] << 8 | (uint8_t)bytes[3]) != client->message_id)
		return;
	bytes[size] = 0;
	answered++;
	if ((uint8_t)bytes[1] >> 5 != 2) {
		refused++;
		authenticate(client);
		return;
	}
	char *token = memmem(bytes, (size_t)size, "\"token\":\"", 9);
	if (token)
		snprintf(client->token, sizeof(client->token), "%.*s",
			(int)strcspn(token + 9, "\""), token + 9);
	report(client);
}

static struct client *connect_all(
	int epoll, const struct sockaddr_storage *server, socklen_t size, long count)
{
	struct client *clients = calloc((size_t)count, sizeof(*clients));
	for (long i = 0; clients && i < count; i++) {
		struct client *client = &clients[i];
		client->fd = socket(server->ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		if (client->fd < 0 || connect(client->fd, (const void *)server, size) < 0) {
			perror("socket");
			exit(1);
		}
		snprintf(client->name, sizeof(client->name), "dk%ld", i);
		client->message_id = (uint16_t)random();
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
		epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event);
	}
	return clients;
}

static void resend_old(struct client *clients, long count, double time)
{
	for (long i = 0; i < count; i++) {
		if (time - clients[i].sent < 2)
			continue;
		resent++;
		clients[i].sent = time;
		if (send(clients[i].fd, clients[i].request, clients[i].size, 0) < 0)
			perror("send");
	}
}

static void run(int epoll, struct client *clients, long count, double until)
{
	struct epoll_event events[64];
	double checked = now();
	for (double time = checked; time < until; time = now()) {
		int ready = epoll_wait(epoll, events, 64, 100);
		for (int i = 0; i < ready; i++)
			answer(events[i].data.ptr);
		if (time - checked > 0.5)
			resend_old(clients, count, checked = time);
	}
}

int main(int argc, char **argv)
{
	if (argc < 5) {
		fprintf(stderr, "usage: cloud-load ADDRESS PORT CLIENTS SECONDS [PID-OF-SERVER]\n");
		return 2;
	}
	struct sockaddr_storage server = { .ss_family = AF_INET };
	struct sockaddr_in *v4 = (void *)&server;
	v4->sin_port = htons((uint16_t)atoi(argv[2]));
	inet_pton(AF_INET, argv[1], &v4->sin_addr);
	long count = atol(argv[3]);
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	int epoll = epoll_create1(0);
	struct client *clients = connect_all(epoll, &server, sizeof(*v4), count);
	for (long i = 0; i < count; i++) {
		authenticate(&clients[i]);
		if (i % 50 == 49)
			run(epoll, clients, count, now() + 0.002);
	}
	run(epoll, clients, count, now() + 1);
	answered = refused = resent = 0;
	double begin = now(), cpu = argc > 5 ? cpu_of(argv[5]) : 0;
	run(epoll, clients, count, begin + atof(argv[4]));
	double seconds = now() - begin;
	printf("clients %ld: %.0f answers/s, %lu refused, %lu resent", count,
		(double)answered / seconds, refused, resent);
	if (argc > 5 && answered)
		printf(", server %.1f us CPU per request, %.0f %% of a core",
			(cpu_of(argv[5]) - cpu) * 1e6 / (double)answered,
			(cpu_of(argv[5]) - cpu) * 100 / seconds);
	putchar('\n');
	return 0;
}
