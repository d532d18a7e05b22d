-- The clock of record, and the lease that ends by it. Call `now()` once per script: until Redis 7.2
-- it moves on while a script runs.

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The token of today's leader, or false.
local function held_lease()
  return redis.call('GET', K.leader)
end

local function grant_lease(token, ttl)
  redis.call('SET', K.leader, token, 'PX', ttl)
end

local function renew_lease(ttl)
  redis.call('PEXPIRE', K.leader, ttl)
end
