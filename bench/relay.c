/* The path between two hosts: rate, queue, delay, loss, and what real links do besides. It also measures.
 *
 *   relay LEFT_FD RIGHT_FD [NAME=VALUE ...]
 *
 * Each descriptor is a TUN device, or a socket that keeps the bounds of what is sent: one IP packet a read. A value with
 * a slash is for each direction, "loss=0/0.5": left to right, right to left.
 *
 *   rate      bits a second (0: no limit)          queue    bytes that may wait for the link (0: no limit); drop-tail
 *   delay     µs one way                           loss     share of the packets
 *   burst     packets lost in a row (1)            late     share of the packets that others overtake
 *   late_by   µs that they come later              jitter   up to so many µs more, in order
 *   gather    packets wait for the next tick of so many µs, and come together, as on Wi-Fi and LTE
 *   hole      bytes: what is larger is lost, and nobody is told
 *   seed      of all that is left to chance        limit_ms ends the run
 *   size      bytes to be carried                  watch    in which direction: right, left, or both
 *   capture   PREFIX: what each end saw goes to PREFIX-left.pcap and PREFIX-right.pcap
 *
 * Chance is a hash of (seed, direction, ordinal): the n-th packet of a direction meets the same fate whoever sent it.
 * SYNs, and what is not TCP, are spared and not counted. The run ends when the receiver of the text has acknowledged
 * `size` bytes of the first connection, when both ends are gone, or at the limit; the ACKs are read as they leave the
 * receiver. Then one line of JSON is printed: seconds since the first SYN, bytes acknowledged, and what happened on the
 * way, as [left to right, right to left].
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { LARGEST = 65575, BATCH = 64, MOST = 1 << 16, PCAP_RAW = 101 };
enum { SYN = 2, ACK = 16 };
enum { FATE = 1, LATE, JITTER }; /* what a hash decides */

enum { RATE, QUEUE, DELAY, LOSS, BURST, LATE_SHARE, LATE_BY, JITTER_UP_TO, GATHER, HOLE, SETTINGS };
static const char *const setting_names[SETTINGS] = {
    "rate", "queue", "delay", "loss", "burst", "late", "late_by", "jitter", "gather", "hole"};

struct packet {
    int64_t due;
    uint64_t serial;
    int to;
    int size;
    unsigned char bytes[];
};

struct way { /* one direction */
    double settings[SETTINGS];
    uint64_t ordinal;
    int64_t free_at, last_due, last_seen, longest_gap;
    uint64_t packets, lost, dropped, text, overflow;
    uint32_t isn, acked; /* of the text that goes this way */
    int known;
};

static struct way ways[2];
static struct packet *heap[MOST + 1];
static int waiting, ends[2], watched[2] = {1, 0};
static uint64_t serial, seed = 1;
static int64_t begun, size_wanted, limit_ns = 10000000000LL;
static FILE *captures[2];

static void fail(const char *what)
{
    fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* ---- chance ---- */

static double chance(int what, int way, uint64_t ordinal)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15u ^ ordinal * 0xd1342543de82ef95u ^ (uint64_t)(2 * what + way) << 56;
    for (int i = 0; i < 2; i++) { /* splitmix64 */
        x += 0x9e3779b97f4a7c15u;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
        x = (x ^ x >> 27) * 0x94d049bb133111ebu;
        x ^= x >> 31;
    }
    return (double)(x >> 11) / 9007199254740992.0;
}

static int is_lost(const struct way *way, int which, uint64_t ordinal)
{
    uint64_t burst = way->settings[BURST] > 1 ? (uint64_t)way->settings[BURST] : 1;
    if (way->settings[LOSS] <= 0)
        return 0;
    for (uint64_t i = 0; i < burst && i <= ordinal; i++)
        if (chance(FATE, which, ordinal - i) < way->settings[LOSS] / (double)burst)
            return 1;
    return 0;
}

/* ---- packets under way, the next first ---- */

static int before(const struct packet *a, const struct packet *b)
{
    return a->due != b->due ? a->due < b->due : a->serial < b->serial;
}

static void put(struct packet *packet)
{
    int at = ++waiting;
    while (at > 1 && before(packet, heap[at / 2])) {
        heap[at] = heap[at / 2];
        at /= 2;
    }
    heap[at] = packet;
}

static struct packet *take(void)
{
    struct packet *first = heap[1], *last = heap[waiting--];
    int at = 1, child;
    while ((child = 2 * at) <= waiting) {
        if (child < waiting && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], last))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

/* ---- what a packet is ---- */

struct view {
    int tcp, flags, text;
    uint32_t seq, ack;
};

static uint32_t word(const unsigned char *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return be32toh(value);
}

static struct view look(const unsigned char *packet, int size)
{
    struct view view = {0};
    int head = size >= 20 && packet[0] >> 4 == 4 ? (packet[0] & 15) * 4 : 40;
    int protocol = size < head + 20 ? 0 : packet[0] >> 4 == 4 ? packet[9] : packet[6];
    if (protocol != 6)
        return view;
    const unsigned char *tcp = packet + head;
    view.tcp = 1;
    view.flags = tcp[13];
    view.seq = word(tcp + 4);
    view.ack = word(tcp + 8);
    view.text = size - head - (tcp[12] >> 4) * 4;
    return view;
}

/* The clock starts with the first SYN; what goes the other way acknowledges what went this way. */
static void measure(int which, struct view view, int64_t now)
{
    struct way *way = &ways[which], *other = &ways[!which];
    way->packets++;
    if (!view.tcp)
        return;
    if (view.flags & SYN) {
        if (!begun)
            begun = now;
        if (!way->known) {
            way->known = 1;
            way->isn = view.seq + 1;
        }
    }
    if (view.text > 0)
        way->text += (uint64_t)view.text;
    if (way->last_seen && now - way->last_seen > way->longest_gap)
        way->longest_gap = now - way->last_seen;
    way->last_seen = now;
    if (view.flags & ACK && other->known && (int32_t)(view.ack - other->isn - other->acked) > 0)
        other->acked = view.ack - other->isn;
}

static void capture(FILE *file, const unsigned char *packet, int size)
{
    struct timespec t;
    if (!file)
        return;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint32_t head[4] = {(uint32_t)t.tv_sec, (uint32_t)t.tv_nsec, (uint32_t)(size < 120 ? size : 120), (uint32_t)size};
    fwrite(head, sizeof head, 1, file);
    fwrite(packet, head[2], 1, file);
}

static FILE *capture_file(const char *prefix, const char *side)
{
    char name[4096];
    uint32_t head[6] = {0xa1b23c4d, 2 | 4 << 16, 0, 0, LARGEST, PCAP_RAW};
    snprintf(name, sizeof name, "%s-%s.pcap", prefix, side);
    FILE *file = fopen(name, "w");
    if (!file)
        fail(name);
    fwrite(head, sizeof head, 1, file);
    return file;
}

/* ---- the path ---- */

static void enter(int which, const unsigned char *bytes, int size, int64_t now)
{
    struct way *way = &ways[which];
    const double *set = way->settings;
    struct view view = look(bytes, size);
    measure(which, view, now);
    if (set[HOLE] > 0 && size > set[HOLE]) {
        way->lost++;
        return;
    }
    uint64_t ordinal = view.tcp && !(view.flags & SYN) ? ++way->ordinal : 0;
    if (ordinal && is_lost(way, which, ordinal)) {
        way->lost++;
        return;
    }
    int64_t start = way->free_at > now ? way->free_at : now, leaves = now;
    double queued = (double)(start - now) * set[RATE] / 8e9;
    if (waiting == MOST || (set[QUEUE] > 0 && queued + size > set[QUEUE])) {
        way->dropped++;
        return;
    }
    if (set[RATE] > 0)
        leaves = way->free_at = start + (int64_t)(size * 8e9 / set[RATE]);
    int64_t due = leaves + (int64_t)(set[DELAY] * 1e3);
    if (set[JITTER_UP_TO] > 0)
        due += (int64_t)(set[JITTER_UP_TO] * 1e3 * chance(JITTER, which, ordinal));
    if (set[GATHER] > 0) {
        int64_t tick = (int64_t)(set[GATHER] * 1e3);
        due = (due + tick - 1) / tick * tick;
    }
    if (due < way->last_due)
        due = way->last_due;
    way->last_due = due;
    if (ordinal && set[LATE_SHARE] > 0 && chance(LATE, which, ordinal) < set[LATE_SHARE])
        due += (int64_t)(set[LATE_BY] * 1e3);
    struct packet *packet = malloc(sizeof *packet + (size_t)size);
    if (!packet)
        fail("memory");
    packet->due = due;
    packet->serial = serial++;
    packet->to = !which;
    packet->size = size;
    memcpy(packet->bytes, bytes, (size_t)size);
    put(packet);
}

static void deliver(struct packet *packet)
{
    capture(captures[packet->to], packet->bytes, packet->size);
    if (write(ends[packet->to], packet->bytes, (size_t)packet->size) < 0)
        ways[!packet->to].overflow++;
    free(packet);
}

/* False once the end is gone. */
static int read_end(int which)
{
    static unsigned char bytes[LARGEST];
    for (int i = 0; i < BATCH; i++) {
        ssize_t size = read(ends[which], bytes, sizeof bytes);
        if (size < 0)
            return errno == EAGAIN;
        if (size == 0)
            return 0;
        capture(captures[which], bytes, (int)size);
        enter(which, bytes, (int)size, now_ns());
    }
    return 1;
}

static int finished(void)
{
    for (int i = 0; i < 2; i++)
        if (watched[i] && (int32_t)ways[i].acked < size_wanted)
            return 0;
    return size_wanted > 0;
}

static void run(void)
{
    struct pollfd polled[2] = {{.fd = ends[0], .events = POLLIN}, {.fd = ends[1], .events = POLLIN}};
    int64_t now = now_ns(), end = now + limit_ns;
    while (!finished() && now < end && (polled[0].fd >= 0 || polled[1].fd >= 0)) {
        int64_t next = waiting && heap[1]->due < end ? heap[1]->due : end, wait = next > now ? next - now : 0;
        struct timespec timeout = {wait / 1000000000, wait % 1000000000};
        if (ppoll(polled, 2, &timeout, NULL) < 0 && errno != EINTR)
            fail("poll");
        for (int i = 0; i < 2; i++)
            if (polled[i].revents && !read_end(i))
                polled[i].fd = -1;
        now = now_ns();
        while (waiting && heap[1]->due <= now)
            deliver(take());
    }
}

static void tell(const char *name, uint64_t one, uint64_t other)
{
    printf(", \"%s\": [%llu, %llu]", name, (unsigned long long)one, (unsigned long long)other);
}

static void report(void)
{
    double seconds = begun ? (double)(now_ns() - begun) / 1e9 : 0;
    printf("{\"finished\": %s, \"seconds\": %.6f", finished() ? "true" : "false", seconds);
    tell("acked", ways[0].acked, ways[1].acked);
    tell("text", ways[0].text, ways[1].text);
    tell("packets", ways[0].packets, ways[1].packets);
    tell("lost", ways[0].lost, ways[1].lost);
    tell("dropped", ways[0].dropped, ways[1].dropped);
    tell("overflow", ways[0].overflow, ways[1].overflow);
    tell("longest_gap_us", (uint64_t)ways[0].longest_gap / 1000, (uint64_t)ways[1].longest_gap / 1000);
    puts("}");
    for (int i = 0; i < 2; i++)
        if (captures[i])
            fclose(captures[i]);
}

/* ---- what is asked ---- */

static int set_path(const char *name, const char *value)
{
    for (int i = 0; i < SETTINGS; i++) {
        if (strcmp(name, setting_names[i]))
            continue;
        char *rest;
        ways[0].settings[i] = ways[1].settings[i] = strtod(value, &rest);
        if (*rest == '/')
            ways[1].settings[i] = strtod(rest + 1, &rest);
        return *rest == 0;
    }
    return 0;
}

static int set(char *word)
{
    char *value = strchr(word, '=');
    if (!value)
        return 0;
    *value++ = 0;
    if (!strcmp(word, "seed"))
        seed = strtoull(value, NULL, 10);
    else if (!strcmp(word, "limit_ms"))
        limit_ns = atoll(value) * 1000000;
    else if (!strcmp(word, "size"))
        size_wanted = atoll(value);
    else if (!strcmp(word, "watch")) {
        watched[0] = strcmp(value, "left") != 0;
        watched[1] = strcmp(value, "right") != 0;
    } else if (!strcmp(word, "capture")) {
        captures[0] = capture_file(value, "left");
        captures[1] = capture_file(value, "right");
    } else
        return set_path(word, value);
    return 1;
}

int main(int argc, char **argv)
{
    struct sched_param priority = {.sched_priority = 2}; /* ends may have 1: see end.py */
    if (argc < 3) {
        fprintf(stderr, "usage: relay LEFT_FD RIGHT_FD [NAME=VALUE ...]; see relay.c\n");
        return 2;
    }
    for (int i = 3; i < argc; i++)
        if (!set(argv[i])) {
            fprintf(stderr, "relay: what is %s?\n", argv[i]);
            return 2;
        }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1);
    sched_setscheduler(0, SCHED_FIFO, &priority); /* a path is never late; where that isn't allowed, it is seldom */
    signal(SIGPIPE, SIG_IGN);
    alarm((unsigned)(limit_ns / 1000000000) + 5);
    for (int i = 0; i < 2; i++) {
        ends[i] = atoi(argv[1 + i]);
        if (fcntl(ends[i], F_SETFL, fcntl(ends[i], F_GETFL) | O_NONBLOCK) < 0)
            fail("descriptor");
    }
    run();
    report();
    return 0;
}
