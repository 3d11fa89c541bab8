/* The peer of every benchmark: the kernel's own TCP, driven by as little as possible.
 *
 *   load serve   ADDRESS PORT source|sink|echo|answer a server; "answer" answers one request and closes
 *   load receive ADDRESS PORT WARM_MS MS              one connection, read only; prints bytes and seconds
 *   load send    ADDRESS PORT MS                      one connection, write only; the reader counts
 *   load acked   ADDRESS PORT WARM_MS MS              write only; prints the bytes that were acknowledged, and seconds
 *   load connect ADDRESS PORT PARALLEL WARM_MS MS     request, answer, close, again; prints connections and seconds
 *   load shake   ADDRESS PORT PARALLEL WARM_MS MS     handshakes, each reset later; prints number and seconds
 *   load ping    ADDRESS PORT WARM_MS MS              one byte there and back; prints the median in microseconds
 *   load hold    ADDRESS PORT COUNT                   COUNT idle connections; prints "ready"
 *
 * LOAD_CONTROL in the environment: the congestion control of its connections; without it the machine's.
 * serve prints "ready" too. serve and hold end with their standard input, all with their parent, and none lives longer
 * than two minutes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <linux/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST_LIFE_S = 120, BULK = 256 * 1024, REQUEST = 64, ANSWER = 256, EVENTS = 256, PINGS = 1 << 20, HELD = 256 };

static char buffer[BULK];
static struct sockaddr_storage peer;
static socklen_t peer_size;

static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void resolve(const char *address, const char *port)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found;
    int problem = getaddrinfo(address, port, &hints, &found);
    if (problem) {
        fprintf(stderr, "load: %s %s: %s\n", address, port, gai_strerror(problem));
        exit(2);
    }
    memcpy(&peer, found->ai_addr, found->ai_addrlen);
    peer_size = found->ai_addrlen;
    freeaddrinfo(found);
}

static void no_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int opened(int flags)
{
    int fd = socket(peer.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    const char *control = getenv("LOAD_CONTROL");
    if (fd >= 0 && control && *control && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, strlen(control)))
        fail(control);
    return fd;
}

static int connected(void)
{
    int fd = opened(0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&peer, peer_size))
        fail("connect");
    no_delay(fd);
    return fd;
}

static void watch(int poll, int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(poll, operation, fd, &event))
        fail("epoll_ctl");
}

static void ready(void)
{
    puts("ready");
    fflush(stdout);
}

static void serve(const char *mode)
{
    int on = 1, source = !strcmp(mode, "source"), sink = !strcmp(mode, "sink"), answer = !strcmp(mode, "answer");
    int listener = opened(SOCK_NONBLOCK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&peer, peer_size) || listen(listener, 1024))
        fail("listen");
    int poll = epoll_create1(0);
    watch(poll, EPOLL_CTL_ADD, listener, EPOLLIN);
    watch(poll, EPOLL_CTL_ADD, 0, EPOLLIN);
    ready();
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == 0)
                exit(0);
            if (fd == listener) {
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    no_delay(fd);
                    watch(poll, EPOLL_CTL_ADD, fd, source ? EPOLLOUT : EPOLLIN);
                }
                continue;
            }
            ssize_t size = source ? write(fd, buffer, BULK) : read(fd, buffer, BULK);
            if (size < 0 && errno == EAGAIN)
                continue;
            if (size > 0 && !source && !sink)
                size = write(fd, buffer, answer ? ANSWER : size);
            if (size <= 0 || answer)
                close(fd);
        }
    }
}

static void receive(int64_t warm_ns, int64_t length_ns)
{
    int fd = connected();
    int64_t bytes = 0, start = now_ns() + warm_ns, begun = 0, at;
    for (;;) {
        ssize_t size = read(fd, buffer, BULK);
        if (size <= 0)
            fail("the sender stopped");
        at = now_ns();
        if (begun) {
            bytes += size;
            if (at - begun >= length_ns)
                break;
        } else if (at >= start) {
            begun = at;
        }
    }
    printf("%lld %.9f\n", (long long)bytes, (double)(at - begun) / 1e9);
}

static void send_for(int64_t length_ns)
{
    int fd = connected();
    int64_t end = now_ns() + length_ns;
    while (now_ns() < end)
        if (write(fd, buffer, BULK) < 0)
            return;
}

static int64_t acknowledged(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
        fail("TCP_INFO");
    return info.tcpi_bytes_acked;
}

static void send_and_count(int64_t warm_ns, int64_t length_ns)
{
    int fd = connected();
    int64_t before = 0, begun = 0, at, start = now_ns() + warm_ns;
    do {
        if (write(fd, buffer, BULK) < 0)
            fail("the receiver stopped");
        at = now_ns();
        if (!begun && at >= start) {
            before = acknowledged(fd);
            begun = at;
        }
    } while (!begun || at - begun < length_ns);
    printf("%lld %.9f\n", (long long)(acknowledged(fd) - before), (double)(at - begun) / 1e9);
}

static int64_t begin_one(int poll)
{
    int fd = opened(SOCK_NONBLOCK);
    if (fd < 0 || (connect(fd, (struct sockaddr *)&peer, peer_size) && errno != EINPROGRESS))
        fail("connect");
    no_delay(fd);
    watch(poll, EPOLL_CTL_ADD, fd, EPOLLOUT);
    return fd;
}

static void connect_again(int parallel, int64_t warm_ns, int64_t length_ns)
{
    int poll = epoll_create1(0);
    int64_t done = 0, at = now_ns(), begun = 0, start = at + warm_ns;
    static int got[1 << 16];
    for (int i = 0; i < parallel; i++)
        got[begin_one(poll)] = 0;
    while (!begun || at - begun < length_ns) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poll, events, EVENTS, 10000);
        if (count <= 0) {
            fprintf(stderr, "load: no answer for 10 seconds\n");
            exit(1);
        }
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd, problem = 0;
            socklen_t size = sizeof problem;
            if (events[i].events & EPOLLOUT) {
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size);
                if (problem) {
                    errno = problem;
                    fail("connect");
                }
                if (write(fd, buffer, REQUEST) != REQUEST)
                    fail("request");
                watch(poll, EPOLL_CTL_MOD, fd, EPOLLIN);
                continue;
            }
            ssize_t length = read(fd, buffer, BULK);
            if (length < 0)
                fail("answer");
            got[fd] += length;
            if (length > 0)
                continue; /* until the server closes */
            if (got[fd] != ANSWER) {
                fprintf(stderr, "load: an answer of %d bytes\n", got[fd]);
                exit(1);
            }
            close(fd);
            done += begun != 0;
            got[begin_one(poll)] = 0;
        }
        at = now_ns();
        if (!begun && at >= start)
            begun = at;
    }
    printf("%lld %.9f\n", (long long)done, (double)(at - begun) / 1e9);
}

/* A connection is reset only when HELD others have come after it: long enough for its server to accept it. */
static void shake(int parallel, int64_t warm_ns, int64_t length_ns)
{
    static int held[HELD];
    struct linger reset = {.l_onoff = 1};
    int poll = epoll_create1(0);
    int64_t all = 0, done = 0, at = now_ns(), begun = 0, start = at + warm_ns;
    for (int i = 0; i < parallel; i++)
        begin_one(poll);
    while (!begun || at - begun < length_ns) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(poll, events, EVENTS, 10000);
        if (count <= 0) {
            fprintf(stderr, "load: no answer for 10 seconds\n");
            exit(1);
        }
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd, problem = 0, *place = &held[all++ % HELD];
            socklen_t size = sizeof problem;
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size);
            if (problem) {
                errno = problem;
                fail("connect");
            }
            epoll_ctl(poll, EPOLL_CTL_DEL, fd, NULL);
            if (*place) {
                setsockopt(*place, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
                close(*place);
            }
            *place = fd;
            done += begun != 0;
            begin_one(poll);
        }
        at = now_ns();
        if (!begun && at >= start)
            begun = at;
    }
    printf("%lld %.9f\n", (long long)done, (double)(at - begun) / 1e9);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void ping(int64_t warm_ns, int64_t length_ns)
{
    static int64_t times[PINGS];
    int fd = connected(), count = 0;
    int64_t start = now_ns() + warm_ns, before, after;
    do {
        before = now_ns();
        if (write(fd, buffer, 1) != 1 || read(fd, buffer, 1) != 1)
            fail("ping");
        after = now_ns();
        if (before >= start)
            times[count++] = after - before;
    } while (count < PINGS && after < start + length_ns);
    if (count == 0) {
        fprintf(stderr, "load: no ping came back in time\n");
        exit(1);
    }
    qsort(times, count, sizeof *times, by_size);
    printf("%.3f %d\n", (double)times[count / 2] / 1e3, count);
}

static void hold(int count)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (int i = 0; i < count; i++)
        connected();
    ready();
    while (read(0, buffer, BULK) > 0)
        ;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
    } commands[] = {{"serve", 1}, {"receive", 2}, {"send", 1}, {"connect", 3},
                  {"shake", 3}, {"ping", 2}, {"acked", 2}, {"hold", 1}};
    int64_t number[3] = {0, 0, 0};
    int which = -1;
    for (int i = 0; argc > 1 && i < (int)(sizeof commands / sizeof *commands); i++)
        if (!strcmp(argv[1], commands[i].name) && argc == 4 + commands[i].arguments)
            which = i;
    if (which < 0) {
        fprintf(stderr, "usage: load serve|receive|send|acked|connect|shake|ping|hold ADDRESS PORT ...; see load.c\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(LONGEST_LIFE_S);
    signal(SIGPIPE, SIG_IGN);
    resolve(argv[2], argv[3]);
    for (int i = 4; i < argc; i++)
        number[i - 4] = atoll(argv[i]);
    switch (which) {
    case 0: serve(argv[4]); break;
    case 1: receive(number[0] * 1000000, number[1] * 1000000); break;
    case 2: send_for(number[0] * 1000000); break;
    case 3: connect_again((int)number[0], number[1] * 1000000, number[2] * 1000000); break;
    case 4: shake((int)number[0], number[1] * 1000000, number[2] * 1000000); break;
    case 5: ping(number[0] * 1000000, number[1] * 1000000); break;
    case 6: send_and_count(number[0] * 1000000, number[1] * 1000000); break;
    default: hold((int)number[0]);
    }
    return 0;
}
