-- Jobs as stored, with all that is needed to change them. Writes nothing.
-- KEYS: due parked fired busy, then the job of each id
-- ARGV: the ids (at most 500)
-- Answers: {now, {due or false, ...}, {parked at or false, ...}, {fired or false, ...},
--   {busy text or false, ...}, {record, version, state, paused from} of each}
local t = now()
if #ARGV == 0 then
  return { t, {}, {}, {}, {}, {} }
end
local records = {}
for i = 1, #ARGV do
  records[i] = redis.call('HMGET', KEYS[TAIL + i], 'record', 'version', 'state', 'paused_from')
end
return {
  t,
  redis.call('ZMSCORE', K.due, unpack(ARGV)),
  redis.call('ZMSCORE', K.parked, unpack(ARGV)),
  redis.call('HMGET', K.fired, unpack(ARGV)),
  redis.call('HMGET', K.busy, unpack(ARGV)),
  records,
}
