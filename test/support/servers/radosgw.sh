#!/usr/bin/env bash
# A real S3 on loopback: one Ceph monitor, one OSD that keeps objects in memory, one radosgw. No manager is needed.
#
#   radosgw.sh <empty directory> <port of the monitor> <port of S3> <access key> <secret key>
#
# Prints `ready` when S3 answers, after about 10 s. Ends everything it started when its standard input ends, so that it
# never outlives the process that holds the other end of the pipe. Needs Debian's ceph-mon, ceph-osd and radosgw.
set -euo pipefail
dir=$1 mon_port=$2 s3_port=$3 access_key=$4 secret_key=$5
fsid=$(cat /proc/sys/kernel/random/uuid)
export CEPH_CONF=$dir/ceph.conf CEPH_ARGS=
mkdir -p "$dir/mon" "$dir/osd" "$dir/run"

cat >"$CEPH_CONF" <<CONF
[global]
fsid = $fsid
mon_host = [v1:127.0.0.1:$mon_port]
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_bind_msgr2 = false
run_dir = $dir/run
admin_socket = $dir/run/\$name.asok
log_file = $dir/\$name.log
log_to_stderr = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_data = $dir/mon
mon_data_avail_crit = 1
mon_data_avail_warn = 1
osd_data = $dir/osd
osd_objectstore = memstore
memstore_device_bytes = 2147483648
# Without these two the OSD asks the monitor for its place before it has one, and never comes up.
osd_class_update_on_start = false
osd_crush_update_on_start = false
osd_crush_chooseleaf_type = 0
ms_bind_port_min = 20000
ms_bind_port_max = 30000
rgw_data = $dir/rgw
# One placement group a pool: there is one OSD, and making them is most of the first request's time.
rgw_rados_pool_pg_num_min = 1
rgw_enable_usage_log = false
rgw_enable_gc_threads = false
rgw_enable_lc_threads = false
rgw_thread_pool_size = 32
CONF

pids=()
finish() {
  trap - EXIT
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

monmaptool --create --clobber --fsid "$fsid" --addv a "[v1:127.0.0.1:$mon_port]" "$dir/monmap" >"$dir/setup.log"
ceph-mon --mkfs -i a --monmap "$dir/monmap" >>"$dir/setup.log" 2>&1
ceph-mon -f -i a >>"$dir/setup.log" 2>&1 &
pids+=($!)
osd_uuid=$(cat /proc/sys/kernel/random/uuid)
ceph --connect-timeout 20 osd new "$osd_uuid" 0 >>"$dir/setup.log" 2>&1
ceph osd crush add osd.0 1.0 host=h root=default >>"$dir/setup.log" 2>&1 &
crush=$!
ceph-osd --mkfs -i 0 --osd-uuid "$osd_uuid" >>"$dir/setup.log" 2>&1
wait "$crush"
ceph-osd -f -i 0 >>"$dir/setup.log" 2>&1 &
pids+=($!)
radosgw-admin user create --uid=cinder --display-name=cinder --access-key="$access_key" --secret-key="$secret_key" \
  >>"$dir/setup.log" 2>&1
# Without tcp_nodelay every small answer takes 45 ms (Nagle and delayed acknowledgements).
radosgw -f --no-mon-config -n client.rgw \
  --rgw-frontends="beast endpoint=127.0.0.1:$s3_port tcp_nodelay=1" >>"$dir/setup.log" 2>&1 &
pids+=($!)
until (exec 3<>"/dev/tcp/127.0.0.1/$s3_port") 2>/dev/null; do
  kill -0 "${pids[2]}" 2>/dev/null || { echo "radosgw ended: $(tail -c 2000 "$dir/setup.log")" >&2; exit 1; }
  sleep 0.1
done
echo ready
cat >/dev/null || true
