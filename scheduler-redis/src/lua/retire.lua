-- Removes jobs whose schedule is over and whose last run has ended, but for those that are kept.
-- These stay, and are no longer looked at.
-- KEYS: leader beat due versions busy finished gone unique unique-until jobs, then the job of each id
-- ARGV: token, jobs (at most 200), then the ids
-- Answers: 1; or 0 where the lease was lost. Asked again: nothing more happens.
if held_lease() ~= ARGV[1] then
  return 0
end
local t, count = now(), tonumber(ARGV[2])
go_on_when_full(K.finished)
redis.call('INCR', K.beat)
if count == 0 then
  return 1
end
local ids = {}
for i = 1, count do
  ids[i] = ARGV[2 + i]
end
-- Those that are over, mostly as the leader has seen them. Their scores are not asked for: Redis takes long to
-- print one.
local is_over = {}
for _, id in ipairs(redis.call('ZRANGE', K.finished, '-inf', '(+inf', 'BYSCORE', 'LIMIT', 0, count)) do
  is_over[id] = true
end
local due = redis.call('ZMSCORE', K.due, unpack(ids))
local busy = redis.call('HMGET', K.busy, unpack(ids))
local texts = redis.call('HMGET', K.jobs, unpack(ids))
local jobs, keys, gone, over_for_good, freed, at = {}, {}, {}, {}, {}, int(t)
for i, id in ipairs(ids) do
  if not is_over[id] then
    is_over[id] = tonumber(redis.call('ZSCORE', K.finished, id) or 'inf') < math.huge
  end
  if is_over[id] and not due[i] and not busy[i] then
    over_for_good[#over_for_good + 1] = id
    local head = texts[i] and string.match(texts[i], '^[^\n]*')
    local keep = head and string.find(head, ' keep', 1, true)
    if not head or string.find(head, ' unique', 1, true) then
      local stored = redis.call('HMGET', KEYS[TAIL + i], 'keep', 'unique')
      keep = keep or stored[1] == '1'
      if stored[2] then
        freed[#freed + 1] = { KEYS[TAIL + i], key_to_free(stored[2], id) }
      end
      keys[#keys + 1] = not keep and KEYS[TAIL + i] or nil
    end
    if not keep then
      jobs[#jobs + 1] = id
      gone[#gone + 1] = at
      gone[#gone + 1] = id
    end
  end
end
if #over_for_good > 0 then
  variadic('ZREM', K.finished, over_for_good, 1)
end
for _, each in ipairs(freed) do
  local job_key, found = unpack(each)
  redis.call('HDEL', job_key, 'unique')
  -- One that is held for a time stays held.
  if found and not found[2] then
    free_key(found)
  end
end
if #jobs > 0 then
  if #keys > 0 then
    redis.call('UNLINK', unpack(keys))
  end
  variadic('HDEL', K.jobs, jobs, 1)
  variadic('HDEL', K.versions, jobs, 1)
  variadic('ZADD', K.gone, gone, 2)
end
return 1
