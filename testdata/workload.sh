#!/bin/sh
# What the recorded machine does: a package is written, built and installed, its sources live in git, shells look
# around, a web client fetches files; at the end, some of what the default rules are for.
set -u
cd /home/dev
mkdir -p meter/src meter/debian-root/DEBIAN meter/debian-root/usr/bin meter/debian-root/etc/meter
cd meter
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
  printf '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint reading_%s(const char *s) { return (int)strlen(s) * %s + atoi(s); }\n' $i $i >src/reading_$i.c
done
{
  echo '#include <stdio.h>'
  for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "int reading_$i(const char *);"; done
  echo 'int main(int n, char **a) { int t = 0; for (int i = 1; i < n; i++) { t += reading_1(a[i]); } printf("%d\n", t); return 0; }'
} >src/main.c
printf 'OBJ := $(patsubst src/%%.c,build/%%.o,$(wildcard src/*.c))\nbuild/meter: $(OBJ)\n\tgcc -o $@ $^\nbuild/%%.o: src/%%.c\n\tmkdir -p build && gcc -O1 -Wall -c -o $@ $<\n' >Makefile
printf 'Package: meter\nVersion: 1.0\nArchitecture: all\nMaintainer: dev <dev@example.com>\nDescription: reads a meter\n' >debian-root/DEBIAN/control

git init -q . && git config user.name dev && git config user.email dev@example.com
git add -A && git commit -qm 'meter: first sources'
make -s
cp build/meter debian-root/usr/bin/meter
echo 'interval = 30' >debian-root/etc/meter/meter.conf
dpkg-deb --build debian-root meter_1.0_all.deb
dpkg -i meter_1.0_all.deb
meter 12 34
for i in 1 2 3 4 5 6; do
  echo "/* revision $i */" >>src/reading_$i.c
  make -s
  git add -A && git commit -qm "meter: revision $i"
done
git log --stat | head -50 >/dev/null
git clone -q . ../clone && (cd ../clone && git branch feature && git checkout -q feature && git merge -q master 2>/dev/null; git gc -q)
tar czf ../meter.tar.gz . && mkdir ../unpacked && tar xzf ../meter.tar.gz -C ../unpacked

for round in 1 2 3; do
  find /usr/share/doc -name copyright | head -200 | xargs grep -l GPL | sort | uniq | wc -l
  ls -lR /etc | awk '{ n += $5 } END { print n }'
  for f in src/*.c; do sed 's/reading/value/g' "$f" | md5sum; done
  ps ax | grep -c sh; df -h; free; uname -a; id; date; dpkg -l | tail -5; dpkg -S /bin/ls
done

mkdir ../www && cp src/*.c ../www && busybox httpd -f -p 127.0.0.1:8099 -h ../www &
server=$!
sleep 1
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
  curl -s -o /dev/null http://127.0.0.1:8099/reading_$i.c
  wget -q -O /dev/null http://127.0.0.1:8099/reading_$i.c
done
curl -s -o /dev/null http://127.0.0.1:9/refused
kill $server

# What an intruder does first.
mkdir -p /var/tmp/kestrel-demo /dev/shm/kestrel-demo
cp /bin/true /var/tmp/kestrel-demo/update && /var/tmp/kestrel-demo/update --daemon
cp /bin/true /dev/shm/kestrel-demo/.x && /dev/shm/kestrel-demo/.x
sh -c 'echo ZWNobyBoZWxsbwo= | base64 -d | sh'
sh -c 'id; uname -a; cat /etc/shadow >/dev/null'
echo '* * * * * root true' >/home/dev/job && cp /home/dev/job /etc/cron.d/kestrel-demo && rm /etc/cron.d/kestrel-demo
env LD_PRELOAD=/home/dev/none.so /bin/true
busybox KESTREL
exit 0
