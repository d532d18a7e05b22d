-- Jobs as stored, with all that is needed to change them. Writes nothing.
-- KEYS: due parked versions fired busy, then the job of each id
-- ARGV: the ids (at most 500)
-- Answers: {now, {due or false, ...}, {parked at or false, ...}, {version or false, ...},
--   {fired or false, ...}, {busy text or false, ...}, {record, state, paused from, since, until, by,
--   why} of each}
local t = now()
if #ARGV == 0 then
  return { t, {}, {}, {}, {}, {}, {} }
end
local records = {}
for i = 1, #ARGV do
  records[i] = redis.call('HMGET', KEYS[TAIL + i], 'record', 'state', 'paused_from',
    'paused_since', 'paused_until', 'paused_by', 'paused_why')
end
return {
  t,
  redis.call('ZMSCORE', K.due, unpack(ARGV)),
  redis.call('ZMSCORE', K.parked, unpack(ARGV)),
  redis.call('HMGET', K.versions, unpack(ARGV)),
  redis.call('HMGET', K.fired, unpack(ARGV)),
  redis.call('HMGET', K.busy, unpack(ARGV)),
  records,
}
