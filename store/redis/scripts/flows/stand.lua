-- Says how a token stands. family.lua stands before this, and says what KEYS and ARGV are.
--
-- Returns {1, grant, ends} for the current one, {2, grant, answer} for one that was spent a moment
-- ago, {3, grant} for any of a family of which one was shown that was spent before, and else {0}.
if how == 1 then return {1, family[4], family[5]} end
if how == 2 then return {2, family[4], answer} end
if how == 3 then return {3, family[4]} end
return {0}
