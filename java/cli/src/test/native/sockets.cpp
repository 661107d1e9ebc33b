// Loaded before a process's other libraries (LD_PRELOAD), notes in the file DOLLY4J_TEST_SOCKETS, a line each, the
// sockets that the process asks for, the names that it looks up, and the addresses that it contacts. With
// DOLLY4J_TEST_DENY it gets no socket.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace {

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

void note(const char* what, const char* which, int number) {
  const int error = errno;
  const char* path = std::getenv("DOLLY4J_TEST_SOCKETS");
  const int file = path == nullptr ? -1 : open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
  if (file >= 0) {
    dprintf(file, "%s %s %d\n", what, which, number);
    close(file);
  }
  errno = error;
}

void note_address(const char* what, const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "other";
  int port = -1;
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    port = ntohs(v4->sin_port);
  } else if (address->sa_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    port = ntohs(v6->sin6_port);
  }
  note(what, text, port);
}

}  // namespace

extern "C" int socket(int domain, int type, int protocol) {
  note("socket", "domain", domain);
  if (std::getenv("DOLLY4J_TEST_DENY") != nullptr) {
    errno = EACCES;
    return -1;
  }
  return next<int(int, int, int)>("socket")(domain, type, protocol);
}

extern "C" int connect(int socket, const sockaddr* address, socklen_t length) {
  note_address("connect", address);
  return next<int(int, const sockaddr*, socklen_t)>("connect")(socket, address, length);
}

extern "C" ssize_t sendto(int socket, const void* data, size_t bytes, int flags, const sockaddr* address,
                          socklen_t length) {
  if (address != nullptr) {
    note_address("send", address);
  }
  return next<ssize_t(int, const void*, size_t, int, const sockaddr*, socklen_t)>("sendto")(socket, data, bytes, flags,
                                                                                           address, length);
}

extern "C" ssize_t sendmsg(int socket, const msghdr* message, int flags) {
  if (message->msg_name != nullptr) {
    note_address("send", static_cast<const sockaddr*>(message->msg_name));
  }
  return next<ssize_t(int, const msghdr*, int)>("sendmsg")(socket, message, flags);
}

extern "C" int sendmmsg(int socket, mmsghdr* messages, unsigned count, int flags) {
  for (unsigned i = 0; i < count; ++i) {
    if (messages[i].msg_hdr.msg_name != nullptr) {
      note_address("send", static_cast<const sockaddr*>(messages[i].msg_hdr.msg_name));
    }
  }
  return next<int(int, mmsghdr*, unsigned, int)>("sendmmsg")(socket, messages, count, flags);
}

extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** found) {
  note("lookup", name == nullptr ? "none" : name, 0);
  return next<int(const char*, const char*, const addrinfo*, addrinfo**)>("getaddrinfo")(name, service, hints, found);
}
