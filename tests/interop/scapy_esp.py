"""The peer of the tunnel, with scapy: decrypts a packet and seals an answer.

Reads one request per line of stdin and writes one answer per line of stdout. All bytes are hex:

    cipher encapsulation numbering next key spi number outer   ->   inner answer

`outer` is a whole outer packet, IPv4 or IPv6, that Causeway sealed with `key`, `spi` and the sequence
number `number`. The number has 64 bits if `numbering` is `esn` and 32 bits if it is `plain`. `next` is the
expected next header. `inner` is the packet that scapy decrypted. `answer` is `inner` sealed by scapy in the
opposite direction, with the same key, SPI and number.

Quirks of scapy 2.8:
- ESN is enabled per SA (`esn_en`), but scapy counts only the low 32 bits. The high half, `esn`, is
  constant, and the receiver does not infer it. So each number uses a new SA.
- A number or a high half of 0 passed to encrypt() counts as absent (`seq_num or self.seq_num`).
  Passed to the SA instead, 0 works. The first number of a new round has a low half of 0.
- The IV is random, while Causeway's IV is the number. This shows that Causeway reads the IV from the
  packet. The IV need not be unique here, since these packets are not sent over a network.
- AES-GCM and ChaCha20-Poly1305 build the AAD the same way, SPI | ESN | number, as RFC 4106 and
  RFC 7634 require. Keys end with the salt, as in Causeway.
- Padding is stripped without a check of its bytes, and no outer checksum is verified. This script
  checks both.
"""

import os
import sys

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import raw

ALGORITHMS = {
    "aes-128-gcm": "AES-GCM",
    "aes-256-gcm": "AES-GCM",
    "chacha20-poly1305": "CHACHA20-POLY1305",
}


def association(cipher, encapsulation, extended, key, spi, number, tunnel_header):
    return SecurityAssociation(
        ESP,
        spi=spi,
        seq_num=number & 0xFFFFFFFF,
        crypt_algo=ALGORITHMS[cipher],
        crypt_key=key,
        tunnel_header=tunnel_header,
        nat_t_header=UDP(sport=4500, dport=4500) if encapsulation == "udp" else None,
        esn_en=extended,
        esn=number >> 32,
    )


def check_outer(outer, encapsulation):
    """Checks the header fields that decryption does not verify."""
    if outer[0] >> 4 == 4:
        packet = IP(outer)
        unsummed = packet.copy()
        del unsummed.chksum  # raw() fills it in
        if IP(raw(unsummed)).chksum != packet.chksum:
            raise ValueError("the outer header checksum is wrong")
        length, header = packet.len, 20
    else:
        packet = IPv6(outer)
        length, header = packet.plen + 40, 40
    if length != len(outer):
        raise ValueError("the outer length is wrong")
    if (UDP in packet) != (encapsulation == "udp"):
        raise ValueError("the encapsulation is wrong")
    if UDP in packet and (packet[UDP].len != len(outer) - header or packet[UDP].chksum != 0):
        raise ValueError("the UDP header is wrong")
    return packet


def check_padding(sa, esp, next_header):
    plain = sa.crypt_algo.decrypt(sa, esp, sa.crypt_key, esn_en=sa.esn_en, esn=sa.esn)
    if plain.padding != bytes(range(1, plain.padlen + 1)) or plain.nh != next_header:
        raise ValueError("the padding or the next header is wrong")


def answer(line):
    cipher, encapsulation, numbering, next_header, key, spi, number, outer = line.split()
    key, outer = bytes.fromhex(key), bytes.fromhex(outer)
    spi, number = int(spi, 16), int(number, 16)
    settings = cipher, encapsulation, numbering == "esn", key, spi, number
    packet = check_outer(outer, encapsulation)
    header = IP if packet.version == 4 else IPv6
    there = header(src=packet.src, dst=packet.dst)
    back = header(src=packet.dst, dst=packet.src)

    sa = association(*settings, there)
    check_padding(sa, packet[ESP], int(next_header))
    inner = sa.decrypt(packet)

    sealed = association(*settings, back).encrypt(inner, iv=os.urandom(8))
    return f"{raw(inner).hex()} {raw(sealed).hex()}"


for request in sys.stdin:
    print(answer(request), flush=True)
